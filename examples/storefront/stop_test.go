//go:build unix

package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/storefront/orders"
	"github.com/leftfold/leftfold/projection"
)

// rush places orders, four at a time, until the service does not answer.
type rush struct {
	placing sync.WaitGroup
	enough  chan struct{} // closed when a hundred have been placed

	mu     sync.Mutex
	placed map[string]string // the tokens, by order
}

func newRush(t *testing.T, p *process) *rush {
	r := &rush{enough: make(chan struct{}), placed: map[string]string{}}
	for client := range 4 {
		r.placing.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d.%d", client, n)
				status, header, _, err := send(t.Context(), p.instance(), "POST /commands/order.place", `Idempotency-Key: "`+id+`"`, `{"order":"`+id+`","item":"mug","quantity":1}`)
				if err != nil || status != http.StatusOK {
					return
				}
				r.note(id, header.Get("Leftfold-Position"))
			}
		})
	}
	return r
}

func (r *rush) note(id, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.placed[id] = token; len(r.placed) == 100 {
		close(r.enough)
	}
}

// held returns who has a part of the read model, by its leases.
func held(t *testing.T, store *sqlite.Store) (by []string) {
	status, err := projection.StatusOf(t.Context(), store, store.Sink(), orders.Summaries.Generation())
	require.NoError(t, err)
	require.NotEmpty(t, status.Segments)
	for _, w := range status.Workers {
		by = append(by, string(w))
	}
	for _, lease := range status.Segments {
		if lease.Holder != "" {
			by = append(by, string(lease.Holder))
		}
	}
	return by
}

// What a deploy does to a task: ECS waits for 40 s (StopTimeout in deploy/), and a service may take 25 s of them.
func TestAServiceThatIsToldToStopUnderLoadEndsInTimeAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	p := startIn(t, dir, "orders")
	load := newRush(t, p)
	<-load.enough
	told := time.Now()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), "%s", p.Stderr)
	require.Less(t, time.Since(told), 25*time.Second)
	load.placing.Wait()

	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "orders.db"), sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(t.Context())) }()
	require.Empty(t, held(t, store), "its leases are given back")
	newest, err := store.Head(t.Context())
	require.NoError(t, err)
	for id := range load.placed {
		events := 0
		for event, err := range store.ReadStream(t.Context(), eventstore.NewStreamID("order", id), eventstore.StreamRange{}) {
			require.NoError(t, err)
			require.Equal(t, "order.placed", event.Type)
			events++
		}
		require.Equal(t, 1, events, "order %s was answered", id)
	}

	// The next task goes on at once: the leases of a killed one would hold it up for ten seconds.
	next := startIn(t, dir, "orders")
	for id := range load.placed {
		status, _, answer, err := send(t.Context(), next.instance(), "GET /queries/order.get?order="+id, "Leftfold-After: "+newest.String())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, answer)
	}
	require.NotEmpty(t, held(t, store), "the check above would notice")
	require.NoError(t, next.Process.Kill())
	require.Error(t, next.Wait())
	require.NotEmpty(t, held(t, store), "who is killed gives nothing back")
}
