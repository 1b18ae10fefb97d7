package system

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// waitingFor returns an append of so many events that has not been answered.
func waitingFor(stream string, expected int64, events int) *waiting {
	return newWaiting(Append{Stream: stream, Expected: expected, Events: eventsFrom(0, events)})
}

func TestABatchHasOneAppendToAStreamAndAtMost1000Events(t *testing.T) {
	a, b, again, c := waitingFor("a", 0, 400), waitingFor("b", 0, 500), waitingFor("a", 400, 1), waitingFor("c", 0, 100)
	large, last := waitingFor("d", 0, 1001), waitingFor("e", 0, 1)
	var batches [][]*waiting
	for held := []*waiting{a, b, again, c, large, last}; len(held) > 0; {
		var batch []*waiting
		batch, held = nextBatch(held)
		batches = append(batches, batch)
	}
	assert.Equal(t, [][]*waiting{{a, b, c}, {again}, {large}, {last}}, batches)
}

// es_append has a loop for at most three events and for conditions, and sets for the rest.
func TestThePrototypeRefusesAnAppendAndTakesTheOthersOfItsBatch(t *testing.T) {
	for name, c := range map[string]struct {
		events int64
		tags   []eventstore.Tag
	}{
		"in a loop":            {events: 1},
		"in a loop, with tags": {events: 1, tags: []eventstore.Tag{"order:1", "region:3"}},
		"in sets":              {events: 2},
		"in sets, with tags":   {events: 2, tags: []eventstore.Tag{"order:1", "region:3"}},
	} {
		t.Run(name, func(t *testing.T) {
			store := openNew(t, Prototype).(prototype)
			batch := []*waiting{
				waitingFor("order-one", 0, int(c.events)), waitingFor("order-two", 7, int(c.events)), waitingFor("order-three", 0, int(c.events)),
			}
			for _, w := range batch {
				w.Tags = c.tags
			}
			caller, err := newPrototypeCaller(t.Context(), store.pool)
			require.NoError(t, err)
			defer caller.close()
			caller.call(t.Context(), batch)
			assert.Equal(t, answer{position: c.events}, <-batch[0].answered)
			assert.ErrorContains(t, (<-batch[1].answered).err, "order-two at version 0, expected 7")
			assert.Equal(t, answer{position: 2 * c.events}, <-batch[2].answered)

			var tagged int64
			require.NoError(t, store.pool.QueryRow(t.Context(), "SELECT count(*) FROM event_tags JOIN events USING (position)").Scan(&tagged))
			assert.Equal(t, 2*c.events*int64(len(c.tags)), tagged)
		})
	}
}

func TestThePrototypeGivesEachPositionOnce(t *testing.T) {
	const writers, appends = 40, 25
	store := openNew(t, Prototype)
	positions := make([][]int64, writers)
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			for version := range int64(appends) {
				position, err := store.Append(t.Context(), Append{Stream: fmt.Sprint("order-", n), Expected: version, Events: eventsFrom(0, 1)})
				assert.NoError(t, err)
				positions[n] = append(positions[n], position)
			}
		})
	}
	all.Wait()
	seen := map[int64]bool{}
	for _, of := range positions {
		assert.IsIncreasing(t, of)
		for _, position := range of {
			seen[position] = true
		}
	}
	for position := int64(1); position <= writers*appends; position++ {
		assert.True(t, seen[position], position)
	}
}
