//go:build unix

package torture_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// 64 users write and read at once, each after its own writes, those of others, and what it has
// read, while the replicas stop, hang, come back and fall behind. No answer lacks anything that it
// must have, each comes in time, and in the end every node has what the log says. The mutants, that
// each leave out one of the reasons for that, are caught.
func TestTortureNoReadIsStaleWhileReplicasComeAndGo(t *testing.T) {
	w := newWorld(t)
	t.Run("mutants", func(t *testing.T) { catchMutants(t, w) })

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	replicas := w.openReplicas(t)
	r := newReads(w, newBus(w, map[string]projection.Readable{"postgres": replicas["postgres"], "redis": replicas["redis"]}))
	faults, err := r.run(t.Context(), replicas, seed, 3*time.Second*time.Duration(eventstoretest.Scale))
	r.report(t, faults, replicas)
	require.NoError(t, err)
	require.Len(t, faults, 2*len(faultsOf(w.standbys[0]))+len(w.faultsOfRedis()), "not tested: not every fault happened")

	positions, err := rowsOf(t.Context(), w.store)
	require.NoError(t, err)
	require.NoError(t, r.book.compare(positions))
	for _, n := range w.postgres {
		comesToTheHead(t, w, n.name, n.from, positions)
	}
	for _, n := range w.redis {
		comesToTheHead(t, w, n.name, n.from, positions)
	}
}

// run lets the users live while the nodes fail, and returns which faults happened how often.
func (r *reads) run(ctx context.Context, replicas map[string]*projection.Replicas, seed uint64, during time.Duration) (map[string]int, error) {
	ctx, stop := context.WithTimeoutCause(ctx, during+2*time.Minute, errors.New("the run does not end: a replica stays away"))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	var living, disturbing sync.WaitGroup
	for _, u := range r.newUsers(seed) {
		living.Go(func() {
			if err := u.live(ctx, over); err != nil {
				cancel(err)
			}
		})
	}
	var mu sync.Mutex
	happened := map[string]int{}
	until := time.Now().Add(during)
	disturb := func(sink string, n int, node string, faults []fault) {
		disturbing.Go(func() {
			answered := func() int64 { return replicas[sink].Status().Replicas[n].Answered }
			err := r.disturb(ctx, node, answered, faults, rand.New(rand.NewPCG(seed, uint64(users+n+len(sink)))), until, func(what string) {
				mu.Lock()
				defer mu.Unlock()
				happened[what]++
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	for n, standby := range r.world.standbys {
		disturb("postgres", n, r.world.postgres[n+1].name, faultsOf(standby))
	}
	disturb("redis", 0, r.world.redis[1].name, r.world.faultsOfRedis())
	disturbing.Wait()
	close(over)
	living.Wait()
	return happened, context.Cause(ctx)
}

// comesToTheHead waits until a node has everything, and compares its rows with the log.
func comesToTheHead(t *testing.T, w *world, name string, from projection.Readable, positions map[string][]int64) {
	t.Helper()
	head, err := w.store.Head(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	want := map[string]count{}
	for key, at := range positions {
		want[key] = count{key, int64(len(at)), at[len(at)-1]}
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) { // it may still be on its way back
		bus := newBus(w, map[string]projection.Readable{name: from})
		got, err := query.Ask[[]answer](ctx, bus, question{From: []string{name}, Listed: true}, query.After(head), query.Wait(patience))
		if assert.NoError(c, err, name) {
			assert.Equal(c, want, got[0].rows, name)
		}
	}, patience, 10*time.Millisecond)
}

// report says what was measured.
func (r *reads) report(t *testing.T, faults map[string]int, replicas map[string]*projection.Replicas) {
	t.Helper()
	for _, what := range slices.Sorted(maps.Keys(faults)) {
		t.Logf("%4d times %s", faults[what], what)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.waits)) {
		waits := slices.Sorted(slices.Values(r.waits[kind]))
		at := func(part float64) time.Duration {
			return waits[int(part*float64(len(waits)-1))].Round(10 * time.Microsecond)
		}
		t.Logf("%6d reads %s: p50 %v, p99 %v, at most %v", len(waits), kind, at(0.5), at(0.99), at(1))
	}
	for _, name := range slices.Sorted(maps.Keys(replicas)) {
		status := replicas[name].Status()
		all := slices.Concat(status.Replicas, []projection.ReplicaStatus{status.Primary})
		var answered int64
		for _, s := range all {
			answered += s.Answered
		}
		for _, s := range all {
			t.Logf("%6d answers (%2d %%) of %s from %s; %d looks, %d failed", s.Answered, 100*s.Answered/answered, name, s.Name, s.Looks, s.Failed)
		}
	}
}
