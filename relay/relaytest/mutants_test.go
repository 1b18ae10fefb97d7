package relaytest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

// flawed is a publisher with a planted bug: what it makes of a request to the bus.
type flawed struct {
	*Bus

	publish func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error)
}

func (f flawed) Publish(ctx context.Context, all []relay.Message) ([]error, error) {
	return f.publish(ctx, f.Bus, all)
}

func TestTheSuiteCatchesFlawedPublishers(t *testing.T) {
	each := func(change func(error) error) func(context.Context, *Bus, []relay.Message) ([]error, error) {
		return func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			results, err := bus.Publish(ctx, all)
			for n := range results {
				results[n] = change(results[n])
			}
			return results, err
		}
	}
	requests := func(change func(results []error, err error) ([]error, error)) func(context.Context, *Bus, []relay.Message) ([]error, error) {
		return func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			results, err := bus.Publish(ctx, all)
			if results == nil {
				results = make([]error, len(all))
			}
			return change(results, err)
		}
	}
	for _, mutant := range []struct {
		bug     string
		publish func(context.Context, *Bus, []relay.Message) ([]error, error)
		broken  string // part of the rule that it breaks
	}{
		{"says that everything was taken", each(func(error) error { return nil }), "refused for now"},
		{"says that a refused message was taken", each(func(err error) error {
			if errors.Is(err, relay.ErrRefused) {
				return nil
			}
			return err
		}), "refusal for good"},
		{"takes every failure for a refusal", each(func(err error) error {
			if err != nil {
				return fmt.Errorf("%w: %w", relay.ErrRefused, err)
			}
			return nil
		}), "throttling"},
		{"takes no failure for a refusal", each(func(err error) error {
			if err != nil {
				return errBusy
			}
			return nil
		}), "too large"},
		{"takes throttling for any failure", each(func(err error) error {
			if errors.Is(err, relay.ErrThrottled) {
				return errBusy
			}
			return err
		}), "throttling"},
		{"takes a lost answer for a success", requests(func(results []error, err error) ([]error, error) {
			if errors.Is(err, errAnswerLost) {
				err = nil
			}
			return results, err
		}), "lost answer"},
		{"takes a lost answer for a refusal", requests(func(results []error, err error) ([]error, error) {
			if errors.Is(err, errAnswerLost) {
				results[0], err = relay.ErrRefused, nil
			}
			return results, err
		}), "lost answer"},
		{"takes a lost request for a success", requests(func(results []error, err error) ([]error, error) {
			if errors.Is(err, errLost) {
				err = nil
			}
			return results, err
		}), "lost request"},
		{"answers in another order", requests(func(results []error, err error) ([]error, error) {
			slices.Reverse(results)
			return results, err
		}), "refused for now"},
		{"fails as a whole when one message is refused", requests(func(results []error, _ error) ([]error, error) {
			return results, errors.Join(results...)
		}), "refusal for good"},
		{"refuses all when one message is refused", requests(func(results []error, err error) ([]error, error) {
			if errors.Is(errors.Join(results...), relay.ErrRefused) {
				for n := range results {
					results[n] = relay.ErrRefused
				}
			}
			return results, err
		}), "refusal for good"},
		{"goes on behind a message that was not taken", func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			var results []error
			for _, m := range all {
				result, err := bus.Publish(ctx, []relay.Message{m})
				if err != nil {
					return nil, err
				}
				results = append(results, result...)
			}
			return results, nil
		}, "refused for now"},
		{"sends in another order", func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			all = slices.Clone(all)
			slices.Reverse(all)
			results, err := bus.Publish(ctx, all)
			slices.Reverse(results)
			return results, err
		}, "in their order"},
		{"gives each try an id of its own", func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			all = slices.Clone(all)
			for n := range all {
				all[n].ID = rand.Text()
			}
			return bus.Publish(ctx, all)
		}, "has arrived"},
		{"tries again by itself, behind the back of the context", func(_ context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			return bus.Publish(context.Background(), all)
		}, "context"},
		{"sends twice", func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			_, _ = bus.Publish(ctx, all)
			return bus.Publish(ctx, all)
		}, "has arrived"},
		{"drops what is no text", func(ctx context.Context, bus *Bus, all []relay.Message) ([]error, error) {
			all = slices.Clone(all)
			for n := range all {
				all[n].Data = []byte(strings.ToValidUTF8(string(all[n].Data), "?"))
			}
			return bus.Publish(ctx, all)
		}, "any bytes"},
	} {
		t.Run(mutant.bug, func(t *testing.T) {
			s := subject(&Bus{Most: relay.Limits{MessageBytes: 300}})
			caught := false
			for _, c := range clauses {
				if !strings.Contains(c.rule, mutant.broken) {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					s = subject(&Bus{Most: relay.Limits{MessageBytes: 300}})
					s.Publisher = flawed{s.Publisher.(*Bus), mutant.publish}
					if err := c.check(t.Context(), s); err != nil {
						caught = true
						t.Log(err)
					}
				})
			}
			require.True(t, caught, "the clause about %q let it pass", mutant.broken)
		})
	}
}

// flaw is a planted bug of a relay.
type flaw string

const (
	none            flaw = "none"
	commitsFirst    flaw = "moves the checkpoint before it publishes"
	goesOn          flaw = "goes on with a key whose message was refused"
	swallows        flaw = "passes a refused message by without a dead letter"
	resendsLast     flaw = "sends a message that failed again when the others have gone"
	freshIDs        flaw = "gives each try an id of its own"
	parksWhatPasses flaw = "makes a dead letter of a message that the bus was too busy for"
	trustsLater     flaw = "takes a key for done when its last message was taken"
	givesUp         flaw = "moves on when the bus has failed three times"
)

var flaws = []flaw{commitsFirst, goesOn, swallows, resendsLast, freshIDs, parksWhatPasses, trustsLater, givesUp}

// naive is a relay of one request at a time, which a reader can check by eye, with planted bugs.
type naive struct {
	relay.Relay

	flaw flaw
}

func (n naive) publish(ctx context.Context, r relay.Relay) error {
	n.Relay = r
	head, err := r.Log.Head(ctx)
	if err != nil {
		return err
	}
	if at, err := r.Sink.Checkpoint(ctx, r.Generation(), head.Store); err != nil || at.Source.Store != head.Store {
		if err := first(err, r.MoveTo(ctx, 0)); err != nil && !errors.Is(err, errCrash) {
			return err
		}
	}
	for {
		at, err := r.Sink.Checkpoint(ctx, r.Generation(), head.Store)
		if err != nil || at.Position() >= head.Position {
			return err
		}
		w, err := subscription.ReadWindow(ctx, r.Log, eventstore.Query{}, at, min(at.Position()+runWindow, head.Position))
		if err != nil {
			return err
		}
		move := projection.Move{From: w.From, To: w.To}
		if n.flaw == commitsFirst {
			if err := r.Sink.Commit(ctx, projection.Model{Generation: r.Generation()}, move, nil); err != nil {
				return err
			}
		}
		if move.Park, err = n.window(ctx, w); err != nil || n.flaw == commitsFirst {
			return err
		}
		if len(move.Park) > 0 {
			move.To.Parks++
		}
		if err := r.Sink.Commit(ctx, projection.Model{Generation: r.Generation()}, move, nil); err != nil {
			return err
		}
	}
}

func (n naive) window(ctx context.Context, w subscription.Window) (park []projection.Parked, err error) {
	all, err := n.Sink.Parked(ctx, n.Generation(), w.From.Source.Store)
	if err != nil {
		return nil, err
	}
	parked := map[string]bool{}
	for _, p := range all {
		parked[p.Key] = true
	}
	events, failures := slices.Clone(w.Events), map[eventstore.EventID]int{}
	for len(events) > 0 {
		e := events[0]
		key := string(e.Stream)
		if parked[key] && n.flaw != goesOn {
			events = events[1:]
			continue
		}
		err := n.one(ctx, e, w.To.Source.Store)
		failures[e.ID]++
		switch {
		case err == nil:
			events = events[1:]
		case errors.Is(err, relay.ErrRefused), n.flaw == parksWhatPasses && errors.Is(err, errBusy):
			events = events[1:]
			if n.flaw != swallows && !parked[key] {
				parked[key] = true
				park = append(park, projection.Parked{Key: key, Event: eventstore.Anchor{Position: e.Position, EventID: e.ID}, Type: e.Type, Cause: err.Error()})
			}
		case n.flaw == resendsLast:
			events = append(events[1:], e)
		case n.flaw == trustsLater && slices.ContainsFunc(events[1:], func(o eventstore.Recorded) bool { return o.Stream == e.Stream }):
			events = events[1:]
		case n.flaw == givesUp && !errors.Is(err, errAnswerLost):
			events = events[1:]
		}
	}
	return park, nil
}

func (n naive) one(ctx context.Context, e eventstore.Recorded, source eventstore.StoreID) error {
	id := eventstore.NewCommandID("relay", n.Name, source.String(), string(e.Stream), e.ID.String()).String()
	if n.flaw == freshIDs {
		id = rand.Text()
	}
	results, err := n.Publisher.Publish(ctx, []relay.Message{{
		ID: id, Key: string(e.Stream), Source: source, Stream: e.Stream, Version: e.Version, Position: e.Position, EventID: e.ID,
		Type: e.Type, SchemaVersion: e.SchemaVersion, Data: e.Data,
	}})
	if err != nil {
		return err
	}
	return results[0]
}

func TestTheSuiteCatchesFlawedRelays(t *testing.T) {
	for _, f := range append([]flaw{none}, flaws...) {
		t.Run(string(f), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := checkRelay(t.Context(), subject(&Bus{}), seedOfRun, naive{flaw: f}.publish)
				if f == none {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				require.NotContains(t, err.Error(), "after the refusals")
				t.Log(err)
			})
		})
	}
}
