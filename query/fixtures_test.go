package query_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is a read model that follows some stores. Its answer is how far it has come.
type model struct {
	name string
	deaf bool  // it cannot tell that it changed
	err  error // of every look

	mu      sync.Mutex
	applied map[eventstore.StoreID]eventstore.Token
	looks   int
	changed chan struct{}
}

func follows(name string, tokens ...eventstore.Token) *model {
	m := &model{name: name, applied: map[eventstore.StoreID]eventstore.Token{}}
	for _, token := range tokens {
		m.applied[token.Store] = token
	}
	return m
}

func (m *model) Name() string { return m.name }

func (m *model) Look(ctx context.Context) (query.Seen, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	if m.err != nil || ctx.Err() != nil {
		return query.Seen{}, first(m.err, ctx.Err())
	}
	return query.Seen{Applied: slices.Collect(maps.Values(m.applied))}, nil
}

func (m *model) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf {
		return nil
	}
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.changed
}

// move is the projection at work.
func (m *model) move(to eventstore.Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied[to.Store] = to
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// read is a reader: it waits, then answers with the position of the store.
func (m *model) read(ctx context.Context, store eventstore.StoreID) (eventstore.Position, error) {
	if err := query.Await(ctx, m); err != nil {
		return 0, err
	}
	return m.now(store), nil
}

func (m *model) now(store eventstore.StoreID) eventstore.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied[store].Position
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	here  = eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 2}
	there = eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
)

func at(position eventstore.Position, of eventstore.Identity) eventstore.Token {
	return eventstore.Token{Identity: of, Position: position}
}

// howFar asks for the position of the store.
type howFar struct{ Store eventstore.StoreID }

// busOver answers howFar from the model.
func busOver(m *model) *query.Bus {
	bus := query.NewBus()
	query.Handle(bus, "how_far", func(ctx context.Context, q howFar) (eventstore.Position, error) {
		return m.read(ctx, q.Store)
	}, query.Reads(m.name))
	return bus
}

func ask(ctx context.Context, bus *query.Bus, options ...query.AskOption) (eventstore.Position, error) {
	return query.Ask[eventstore.Position](ctx, bus, howFar{here.Store}, options...)
}
