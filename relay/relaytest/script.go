package relaytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

// What a run under a script of faults publishes: events of some keys, in windows of a few.
const (
	runKeys   = 8
	runEvents = 12 // of each key
	runWindow = 16
	seedOfRun = 1
)

// script decides by a seed what goes wrong with each message, and tells the bus when the message is
// published for the first time. So the faults do not depend on who is faster.
type script struct {
	Subject

	seed uint64

	mu   sync.Mutex
	seen map[string]bool
	hits map[Fault]int
	ids  map[string]string // of refused messages, by key and version
}

func (s *script) Publish(ctx context.Context, all []relay.Message) ([]error, error) {
	s.mu.Lock()
	for _, m := range all {
		if place := placeOf(m.Key, m.Version); !s.seen[place] {
			s.seen[place] = true
			if fault := s.faultOf(m.Key, m.Version); fault != Fine {
				s.hits[fault]++
				s.ids[place] = m.ID
				s.Break(m.ID, fault)
			}
		}
	}
	s.mu.Unlock()
	return s.Subject.Publish(ctx, all)
}

func placeOf(key string, version eventstore.Version) string {
	return fmt.Sprintf("%s at %d", key, version)
}

// draw returns a number below most that the seed gives to a place.
func (s *script) draw(most uint64, place ...any) uint64 {
	id := eventstore.NewCommandID(fmt.Sprint(s.seed), fmt.Sprint(place...))
	var n uint64
	for _, b := range id[:8] {
		n = n<<8 | uint64(b)
	}
	return n % most
}

// faultOf returns what goes wrong with a message: something with every third one, and every second key has one
// that is refused.
func (s *script) faultOf(key string, version eventstore.Version) Fault {
	if version == s.refusedOf(key) {
		return Refused
	}
	faults := []Fault{Busy, Busy, Throttled, Lost, AnswerLost, AnswerLost}
	if n := s.draw(uint64(3*len(faults)), key, version); n < uint64(len(faults)) {
		return faults[n]
	}
	return Fine
}

// refusedOf returns the version of a key that is refused; 0: none.
func (s *script) refusedOf(key string) eventstore.Version {
	if s.draw(2, key) == 0 && key != keyOf(0) {
		return 0
	}
	return eventstore.Version(1 + s.draw(runEvents-1, key, "refused")) // not the last: something is behind it
}

func keyOf(n int) string { return fmt.Sprintf("order-%d", n) }

// fill appends the events, those of the keys in a mixed order.
func (s *script) fill(ctx context.Context) error {
	left := map[string]int{}
	for n := range runKeys {
		left[keyOf(n)] = runEvents
	}
	for n := 0; len(left) > 0; n++ {
		key := slices.Sorted(maps.Keys(left))[s.draw(uint64(len(left)), "next", n)]
		_, err := s.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: eventstore.StreamID(key), Events: []eventstore.EventData{{Type: "thing.happened", Data: fmt.Appendf(nil, `{"n":%d}`, n)}},
		}}})
		if err != nil {
			return err
		}
		if left[key]--; left[key] == 0 {
			delete(left, key)
		}
	}
	return nil
}

// strictSink looks, whenever the checkpoint moves, at what it moves past, and crashes now and then: before
// it has moved, or after.
type strictSink struct {
	projection.Sink

	script *script

	mu      sync.Mutex
	moves   int
	crashes int
	wrong   error
}

// errCrash ends a relay, as a crash would: what it had in memory is gone.
var errCrash = fmt.Errorf("%w: a crash, as the script wants it", subscription.ErrPermanent)

func (s *strictSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	s.mu.Lock()
	s.moves++
	crash := s.script.draw(4, "crash", s.moves)
	if crash < 2 {
		s.crashes++
	}
	if err := s.passable(ctx, model, move); err != nil && s.wrong == nil {
		s.wrong = err
	}
	s.mu.Unlock()
	if crash == 0 {
		return errCrash
	}
	err := s.Sink.Commit(ctx, model, move, changes)
	if crash == 1 {
		return errCrash
	}
	return err
}

// passable checks that everything up to the end of a move has arrived, or is a dead letter or behind one.
func (s *strictSink) passable(ctx context.Context, model projection.Model, move projection.Move) error {
	arrivals, err := s.script.Arrivals(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, a := range arrivals {
		there[placeOf(a.Key, a.Version)] = true
	}
	parked, err := s.Sink.Parked(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	since := map[string]eventstore.Position{}
	for _, p := range append(parked, move.Park...) {
		since[p.Key] = p.Event.Position
	}
	read, err := s.script.Store.ReadLog(ctx, eventstore.LogQuery{After: move.From.Position(), Through: move.To.Position()})
	if err != nil {
		return err
	}
	for e, err := range read.Events() {
		if err != nil {
			return err
		}
		at, isParked := since[string(e.Stream)]
		if !there[placeOf(string(e.Stream), e.Version)] && (!isParked || e.Position < at) {
			return fmt.Errorf("the checkpoint passed position %d (%s, version %d), which has not arrived and is no dead letter", e.Position, e.Stream, e.Version)
		}
	}
	return nil
}
