package projection_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// hashSink notes the hash that each model is opened with.
type hashSink struct {
	*memory.Sink
	mu   sync.Mutex
	hash string
}

func (s *hashSink) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	s.mu.Lock()
	s.hash = model.Hash
	s.mu.Unlock()
	return s.Sink.Open(ctx, model, source)
}

func hashOf(t *testing.T, task func(sink *hashSink) projection.Task) string {
	t.Helper()
	sink := &hashSink{Sink: memory.NewSink()}
	require.NoError(t, runner(t, memory.NewStore(), task(sink)).CatchUp(t.Context()))
	return sink.hash
}

func viewHash[R any](t *testing.T, view *projection.View[R]) string {
	return hashOf(t, func(sink *hashSink) projection.Task { return projection.Into(sink, view) })
}

// Sinks keep the hash for ever. If this test fails, every read model in the field would
// be refused after an update: the hash must stay, not the test.
func TestTheHashOfADefinitionIsFrozen(t *testing.T) {
	assert.Equal(t, "b8a0d65462d14478d60515aeed3191ea", viewHash(t, accounts))
	handler := projection.NewHandler("mail", projection.HandlerOptions{Version: 2, Query: eventstore.Types("paid")},
		func(context.Context, *memory.Tx, eventstore.Recorded) error { return nil })
	assert.Equal(t, "4cdab0c7fa7a670bf375280547294039", hashOf(t, func(sink *hashSink) projection.Task { return projection.On(sink, handler) }))
}

func TestEveryVisibleChangeOfADefinitionGivesAnotherHash(t *testing.T) {
	type row struct {
		A int64
		B string
	}
	type otherKind struct {
		A float64
		B string
	}
	type otherName struct {
		A int64
		C string
	}
	type otherOrder struct {
		B string
		A int64
	}
	type nullable struct {
		A *int64
		B string
	}
	v1, indexed := projection.ViewOptions{Version: 1}, projection.ViewOptions{Version: 1, Indexes: []string{"a"}}
	key := func(paid, eventstore.Recorded) string { return "" }
	fold := func(*row, paid, eventstore.Recorded) {}
	rename := func(*row, renamed, eventstore.Recorded) {}

	base := viewHash(t, projection.NewView("v", v1, projection.When(fold)))
	same := projection.NewView("v", v1, projection.When(func(r *row, e paid, _ eventstore.Recorded) { r.A = e.Cents }))
	assert.Equal(t, base, viewHash(t, same), "the body of a fold cannot be seen")

	hashes := map[string]string{"base": base}
	for what, hash := range map[string]string{
		"name":           viewHash(t, projection.NewView("w", v1, projection.When(fold))),
		"version":        viewHash(t, projection.NewView("v", projection.ViewOptions{Version: 2}, projection.When(fold))),
		"index":          viewHash(t, projection.NewView("v", indexed, projection.When(fold))),
		"kind":           viewHash(t, projection.NewView("v", v1, projection.When(func(*otherKind, paid, eventstore.Recorded) {}))),
		"column name":    viewHash(t, projection.NewView("v", v1, projection.When(func(*otherName, paid, eventstore.Recorded) {}))),
		"column order":   viewHash(t, projection.NewView("v", v1, projection.When(func(*otherOrder, paid, eventstore.Recorded) {}))),
		"nullable":       viewHash(t, projection.NewView("v", v1, projection.When(func(*nullable, paid, eventstore.Recorded) {}))),
		"event":          viewHash(t, projection.NewView("v", v1, projection.When(rename))),
		"one more rule":  viewHash(t, projection.NewView("v", v1, projection.When(fold), projection.When(rename))),
		"order of rules": viewHash(t, projection.NewView("v", v1, projection.When(rename), projection.When(fold))),
		"key":            viewHash(t, projection.NewView("v", v1, projection.WhenKeyed(key, fold))),
		"delete":         viewHash(t, projection.NewView("v", v1, projection.Delete[row](func(paid) string { return "" }))),
	} {
		for other, taken := range hashes {
			assert.NotEqual(t, taken, hash, "%s and %s", what, other)
		}
		hashes[what] = hash
	}
}

func TestAChangedDefinitionWithoutANewVersionIsRefused(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "a", paid{Cents: 3})
	require.NoError(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()))

	changed := projection.NewView("accounts", projection.ViewOptions{Version: 1}, projection.When(pay))
	err := runner(t, store, projection.Into(sink, changed)).Run(t.Context())
	require.ErrorIs(t, err, projection.ErrDefinitionChanged)
	assert.ErrorContains(t, err, "projection accounts@1: open the sink: ")

	raised := projection.NewView("accounts", projection.ViewOptions{Version: 2}, projection.When(pay))
	require.NoError(t, runner(t, store, projection.Into(sink, raised)).CatchUp(t.Context()))
	for _, view := range []*projection.View[account]{accounts, raised} {
		row, err := projection.NewReader(sink, view).Get(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, int64(3), row.Cents, "both versions can be read")
	}
}
