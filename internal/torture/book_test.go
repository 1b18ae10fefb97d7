//go:build unix

package torture_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// book is what the users know: every event that was acknowledged. It has no part in what it checks.
type book struct {
	mu     sync.Mutex
	acked  map[string][]ack          // by key, in the order of their positions
	states map[string]map[count]bool // of rows that were read, by key
}

type ack struct {
	at   eventstore.Position
	when time.Time
}

func newBook() *book {
	return &book{acked: map[string][]ack{}, states: map[string]map[count]bool{}}
}

// write notes an event that was acknowledged.
func (b *book) write(event scored, at eventstore.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, key := range []string{event.Player, event.Board} {
		n, _ := slices.BinarySearchFunc(b.acked[key], at, byPosition)
		b.acked[key] = slices.Insert(b.acked[key], n, ack{at, now})
	}
}

func byPosition(a ack, at eventstore.Position) int { return int(a.at - at) }

// upTo returns how many events of the key there are up to a position, at least.
func (b *book) upTo(key string, at eventstore.Position) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, _ := slices.BinarySearchFunc(b.acked[key], at+1, byPosition)
	return int64(n)
}

// before returns how many there were at a time, at least.
func (b *book) before(key string, when time.Time) (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.acked[key] {
		if a.when.Before(when) {
			n++
		}
	}
	return n
}

// saw notes a row, to be compared with the log in the end.
func (b *book) saw(row count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states[row.Key] == nil {
		b.states[row.Key] = map[count]bool{}
	}
	b.states[row.Key][row] = true
}

// rowsOf reads the log itself, and returns the positions of each key's events.
func rowsOf(ctx context.Context, log eventstore.LogReader) (map[string][]int64, error) {
	positions := map[string][]int64{}
	read, err := log.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return nil, err
	}
	for m, err := range read.Events() {
		if err != nil {
			return nil, err
		}
		decoded, err := scoredEvents.Decode(m)
		if err != nil {
			return nil, err
		}
		for _, event := range decoded {
			for _, key := range []string{event.(scored).Player, event.(scored).Board} {
				positions[key] = append(positions[key], int64(m.Position))
			}
		}
	}
	return positions, nil
}

// compare returns an error if an event that was acknowledged is not in the log, or if a row was
// never what the log says.
func (b *book) compare(positions map[string][]int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, acked := range b.acked {
		if len(acked) != len(positions[key]) {
			return fmt.Errorf("%s: %d events were acknowledged, and %d are in the log", key, len(acked), len(positions[key]))
		}
	}
	for key, states := range b.states {
		for row := range states {
			if n, found := slices.BinarySearch(positions[key], row.Last); !found || int64(n)+1 != row.Events {
				return fmt.Errorf("%s was read as %d events, the last at %d: there, the log has %d", key, row.Events, row.Last, n+1)
			}
		}
	}
	return nil
}
