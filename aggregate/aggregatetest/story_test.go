package aggregatetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore"
)

type doors = *aggregate.Repository[Door, Event]

// openAs is a handler: it executes a decision in the name of somebody.
func openAs(who string) func(context.Context, doors) error {
	return func(ctx context.Context, doors doors) error {
		_, err := doors.Execute(ctx, "1", open(who), aggregate.Metadata(eventstore.Metadata{eventstore.MetadataActor: who}))
		return err
	}
}

func TestStoriesThatHold(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	clock := noon
	store := memory.NewStoreWith(memory.StoreOptions{Now: func() time.Time { return clock }})
	story := aggregatetest.In(t, store, Doors).Given("1", Opened{"ada"}, Closed{"ada"})
	clock = noon.Add(time.Hour)
	story.
		Meanwhile("1", Opened{"eve"}, Closed{"eve"}).
		Meanwhile("2", Opened{"eve"}). // elsewhere: no conflict
		When(openAs("bob")).
		Then("1", Opened{"bob"}).
		Then("2").
		ThenMetadata("1", eventstore.Metadata{eventstore.MetadataActor: "bob"}).
		ThenStateAsOf("1", noon, Door{Count: 1}).
		ThenStateAsOf("1", clock, Door{Open: true, Count: 3})

	aggregatetest.In(t, memory.NewStore(), Doors).
		Meanwhile("1", Opened{"eve"}).
		When(openAs("bob")).
		ThenFails(ErrOpen)
}

func TestAStoryThatFailsSaysGotAndWant(t *testing.T) {
	for name, c := range map[string]struct {
		story func(testing.TB)
		says  string
	}{
		"other event": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).When(openAs("ada")).Then("1", Opened{"bob"})
			},
			"door-1\ngot  events aggregatetest_test.Opened{By:ada}\nwant events aggregatetest_test.Opened{By:bob}",
		},
		"an event elsewhere": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).When(openAs("ada")).Then("2", Opened{"ada"})
			},
			"got  no events\nwant events",
		},
		"an error": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).Given("1", Opened{"ada"}).When(openAs("bob")).Then("1", Opened{"bob"})
			},
			"got  an error: execute door-1: the door is open\nwant events",
		},
		"no error": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).When(openAs("bob")).ThenFails(ErrOpen)
			},
			"got  error <nil>\nwant error the door is open",
		},
		"other metadata": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).When(openAs("bob")).ThenMetadata("1", eventstore.Metadata{"actor": "eve"})
			},
			"version 1 of door-1\ngot  metadata map[actor:bob]\nwant actor=eve",
		},
		"other state": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).When(openAs("bob")).ThenStateAsOf("1", time.Now().Add(time.Hour), Door{})
			},
			"got  state {Open:true Count:1}, error <nil>\nwant state {Open:false Count:0}",
		},
		"a conflict that never came": {
			func(t testing.TB) {
				aggregatetest.In(t, memory.NewStore(), Doors).Meanwhile("1", Opened{"eve"}).When(func(context.Context, doors) error { return nil })
			},
			"1 conflicts were to come of Meanwhile",
		},
		"an event that is not registered": {
			func(t testing.TB) { aggregatetest.In(t, memory.NewStore(), Doors).Given("1", Waxed{}) },
			"event aggregatetest_test.Waxed{} cannot be stored",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{TB: t}
			c.story(r)
			if assert.NotEmpty(t, r.failures) {
				assert.Contains(t, r.failures[0], c.says)
			}
		})
	}
}

var errMany = errors.New("opened too often")
