//go:build unix

package torture_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// address leads to the first node, and once it has moved to the second.
type address struct {
	first, second projection.Readable
	moved         atomic.Bool
}

func (a *address) now() projection.Readable {
	if a.moved.Load() {
		return a.second
	}
	return a.first
}

func (a *address) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	return a.now().Look(ctx, model, rows)
}

func (a *address) Changed() <-chan struct{} { return nil }

// believing is a replica that is believed to have what it once had: the mutant without the proof of
// each look.
type believing struct {
	projection.Readable

	followed []projection.Followed // as it was seen first
}

func (b *believing) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	look, err := b.Readable.Look(ctx, model, rows)
	if b.followed == nil {
		b.followed = look.Followed
	}
	look.Followed = b.followed
	return look, err
}

// mixed is a mutant that asks one node how far it is and reads from another.
type mixed struct {
	projection.Readable

	rows projection.Readable
}

func (m mixed) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	look, err := m.Readable.Look(ctx, model, rows)
	if err != nil {
		return look, err
	}
	from, err := m.rows.Look(ctx, model, rows)
	look.Rows = from.Rows
	return look, err
}

// forgetful is the mutant that ignores the token: it reads whatever there is, and says that it is fine.
type forgetful struct{ projection.Readable }

func (f forgetful) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	look, err := f.Readable.Look(withoutTokens{ctx}, model, rows)
	for n := range look.Followed {
		for _, token := range query.Required(ctx) {
			look.Followed[n].Applied.Anchor.Position = max(look.Followed[n].Applied.Anchor.Position, token.Position)
		}
	}
	return look, err
}

// withoutTokens is a context under which nothing is required.
type withoutTokens struct{ context.Context }

func (withoutTokens) Value(any) any { return nil }

// catchMutants has one user write, while one standby has stopped and the other goes on. The address of
// the only replica moves from the latter to the former. Readers as they are find the write all
// the same, on the primary; each mutant is caught without it.
func catchMutants(t *testing.T, w *world) {
	ahead, behind := w.postgres[1], w.postgres[2]
	r := newReads(w, nil)
	u, board := r.newUsers(1)[0], "board-of-mutants"
	u.name = "player-with-mutants"
	q := question{Keys: []string{u.name, board}, From: []string{"postgres"}}
	isOn := func(n node[*postgres.Sink]) {
		r.bus = newBus(w, map[string]projection.Readable{"postgres": n.from})
		require.NoError(t, u.askAfter(t.Context(), "after a write", q, u.mine))
	}
	require.NoError(t, u.write(t.Context(), board))
	isOn(behind)
	require.NoError(t, w.standbys[1].PauseReplay(t.Context()))
	defer func() { require.NoError(t, w.standbys[1].ResumeReplay(context.Background())) }()
	require.NoError(t, u.write(t.Context(), board))
	isOn(ahead)

	for name, mutant := range map[string]func(a *address) projection.Readable{
		"none":                        func(a *address) projection.Readable { return a },
		"ignores the token":           func(a *address) projection.Readable { return forgetful{a} },
		"believes what it remembers":  func(a *address) projection.Readable { return &believing{Readable: a} },
		"looks at one, reads another": func(a *address) projection.Readable { return mixed{ahead.from, a} },
	} {
		t.Run(name, func(t *testing.T) {
			a := &address{first: ahead.from, second: behind.from}
			replicas := projection.NewReplicas(t.Context(), w.postgres[0].from, []projection.Replica{{Sink: mutant(a), Probe: inOrder}}, projection.ReplicasOptions{Logger: silent})
			defer replicas.Close()
			r.bus = newBus(w, map[string]projection.Readable{"postgres": replicas})
			require.NoError(t, u.askAfter(t.Context(), "after a write", q, u.mine))
			require.EqualValues(t, 1, replicas.Status().Replicas[0].Answered)
			a.moved.Store(true)
			err := u.askAfter(t.Context(), "after a write", q, u.mine)
			if name == "none" {
				require.NoError(t, err)
				require.EqualValues(t, 1, replicas.Status().Primary.Answered)
				return
			}
			var stale *staleError
			require.ErrorAs(t, err, &stale)
			require.EqualValues(t, 2, replicas.Status().Replicas[0].Answered)
		})
	}
}

func inOrder(context.Context) (time.Duration, error) { return 0, nil }
