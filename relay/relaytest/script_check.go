package relaytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

// system publishes up to the head of the log, or fails and is called again.
type system func(ctx context.Context, r relay.Relay) error

// publishAll is the system that users have.
func publishAll(ctx context.Context, r relay.Relay) error { return r.CatchUp(ctx) }

// mostCrashes is beyond what a script has.
const mostCrashes = 1000

// checkRelay publishes under the faults of a seed, compares what arrived with the log, and then mends what was
// refused.
func checkRelay(ctx context.Context, s Subject, seed uint64, publish system) error {
	faults := &script{Subject: s, seed: seed, seen: map[string]bool{}, hits: map[Fault]int{}, ids: map[string]string{}}
	if err := faults.fill(ctx); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	sink := &strictSink{Sink: s.Sink, script: faults}
	r := relay.Relay{Name: "orders", Log: s.Store, Sink: sink, Publisher: faults, Window: runWindow}
	err := publish(ctx, r)
	for n := 0; errors.Is(err, errCrash) && n < mostCrashes; n++ {
		err = publish(ctx, r)
	}
	if err = first(err, sink.wrong, checkPublished(ctx, faults, r)); err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	if err := faults.checkTested(sink); err != nil {
		return fmt.Errorf("seed %d: not tested: %w", seed, err)
	}
	r.Sink = s.Sink // no more crashes
	if err := checkMended(ctx, faults, r); err != nil {
		return fmt.Errorf("seed %d: after the refusals: %w", seed, err)
	}
	return nil
}

// checkTested fails if the script did not have what it is for.
func (s *script) checkTested(sink *strictSink) error {
	for _, fault := range []Fault{Busy, AnswerLost, Refused} {
		if s.hits[fault] == 0 {
			return fmt.Errorf("no message was %s", fault)
		}
	}
	if sink.crashes == 0 {
		return errors.New("there was no crash")
	}
	return nil
}

// checkPublished compares what has arrived, and the dead letters, with the script.
func checkPublished(ctx context.Context, s *script, r relay.Relay) error {
	letters, err := r.DeadLetters(ctx)
	if err != nil {
		return err
	}
	got, want := map[string]eventstore.Version{}, map[string]eventstore.Version{}
	for _, l := range letters {
		got[l.Key] = l.Recorded.Version
	}
	last := map[string]eventstore.Version{}
	for n := range runKeys {
		last[keyOf(n)] = runEvents
		if refused := s.refusedOf(keyOf(n)); refused > 0 {
			want[keyOf(n)], last[keyOf(n)] = refused, refused-1
		}
	}
	arrivals, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	return first(inOrder(arrivals), same("dead letters, by key", got, want), allThere(arrivals, last, nil))
}

// checkMended retries one half of the dead letters, whose cause is gone, and skips the others.
func checkMended(ctx context.Context, s *script, r relay.Relay) error {
	letters, err := r.DeadLetters(ctx)
	if err != nil {
		return err
	}
	skipped := map[string]bool{}
	for n, l := range letters {
		if err := r.Retry(ctx, l.Key); !errors.Is(err, relay.ErrStillParked) {
			return fmt.Errorf("retry of %q, which is still refused: got %v, want relay.ErrStillParked", l.Key, err)
		}
		place := placeOf(l.Key, l.Recorded.Version)
		if n%2 == 0 {
			s.Break(s.ids[place], Fine)
			err = r.Retry(ctx, l.Key)
		} else {
			skipped[place] = true
			err = r.Skip(ctx, l.Key, l.Event.Position)
		}
		if err != nil {
			return fmt.Errorf("take up %q: %w", l.Key, err)
		}
	}
	last := map[string]eventstore.Version{}
	for n := range runKeys {
		last[keyOf(n)] = runEvents
	}
	arrivals, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	status, err := r.Status(ctx)
	if err != nil {
		return err
	}
	return first(allThere(arrivals, last, skipped), same("parked", len(status.Parked), 0), same("position", status.Position, status.Head))
}

// inOrder checks that the messages of a key arrived in order, each for the first time, and that
// repeats are the same.
func inOrder(arrivals []Arrival) error {
	last, known, ids := map[string]eventstore.Version{}, map[string]Arrival{}, map[string]string{}
	for _, a := range arrivals {
		place := placeOf(a.Key, a.Version)
		if before, repeats := known[place]; repeats {
			if err := same("a repeat of "+place, a, before); err != nil {
				return err
			}
			continue
		}
		if other, taken := ids[a.ID]; taken {
			return fmt.Errorf("%s and %s have one id", other, place)
		}
		if a.Version != last[a.Key]+1 {
			return fmt.Errorf("%s: version %d arrived behind version %d", a.Key, a.Version, last[a.Key])
		}
		last[a.Key], known[place], ids[a.ID] = a.Version, a, place
	}
	return nil
}

// allThere checks that every version of each key up to the last one has arrived, in order and no other, but
// for those skipped.
func allThere(arrivals []Arrival, last map[string]eventstore.Version, skipped map[string]bool) error {
	got, want, seen := map[string][]eventstore.Version{}, map[string][]eventstore.Version{}, map[string]bool{}
	for _, a := range arrivals {
		if place := placeOf(a.Key, a.Version); !seen[place] {
			seen[place] = true
			got[a.Key] = append(got[a.Key], a.Version)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		for version := eventstore.Version(1); version <= last[key]; version++ {
			if !skipped[placeOf(key, version)] {
				want[key] = append(want[key], version)
			}
		}
	}
	return same("versions that arrived, by key", got, want)
}
