package relaytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

// Subject is a publisher under test, with the far end of it.
type Subject struct {
	relay.Publisher

	// Arrivals returns what the bus has, in the order in which it took it, repeats included. Of a
	// bus that drops repeats by itself there are none.
	Arrivals func(ctx context.Context) ([]Arrival, error)
	// Break has the bus do something wrong with the message of that id.
	Break func(id string, fault Fault)

	// Those in memory will do.
	Parts
}

// Parts are what a relay needs besides a publisher. Both are empty.
type Parts struct {
	Store eventstore.Store // it publishes from here
	Sink  projection.Sink  // and keeps its checkpoint here
}

// Run checks the publishers that open returns against every clause of [relay.Publisher]. Each call
// of open must return one whose bus is empty, and close it by t.Cleanup.
func Run(t *testing.T, open func(t testing.TB) Subject) {
	runClauses(t, clauses, open)
}

func runClauses[S any](t *testing.T, clauses []clause[S], open func(t testing.TB) S) {
	for _, c := range clauses {
		t.Run(c.rule, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), clauseTimeout)
			defer cancel()
			if err := c.check(ctx, open(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

const clauseTimeout = time.Minute

// clause is one rule as a sentence, and the check that a subject obeys it. A check returns what is
// wrong instead of failing a test, so that a planted bug can be shown to be caught.
type clause[S any] struct {
	rule  string
	check func(ctx context.Context, subject S) error
}

func same(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
	return nil
}

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// messages returns so many messages of a key, from a version on.
func messages(key string, from eventstore.Version, count int) (all []relay.Message) {
	for n := range count {
		version := from + eventstore.Version(n)
		id := eventstore.NewCommandID(key, fmt.Sprint(version))
		all = append(all, relay.Message{
			ID: id.String(), Key: key, Source: eventstore.StoreID{1},
			Stream: eventstore.StreamID(key), Version: version, Position: eventstore.Position(version), EventID: eventstore.EventID(id),
			Type: "thing.happened", SchemaVersion: 1, Data: fmt.Appendf(nil, `{"n":%d}`, version),
			Metadata:   eventstore.Metadata{eventstore.MetadataCorrelationID: "c-1"},
			RecordedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		})
	}
	return all
}

// offer publishes messages by as few requests as the limits allow, and returns their results; those
// of a request that failed are its error.
func (s Subject) offer(ctx context.Context, all ...relay.Message) (results []error, err error) {
	for len(all) > 0 {
		request := all[:s.fits(all)]
		all = all[len(request):]
		of, err := s.Publish(ctx, request)
		if err != nil {
			of = slices.Repeat([]error{err}, len(request))
		}
		if len(of) != len(request) {
			return nil, fmt.Errorf("%d results for %d messages", len(of), len(request))
		}
		results = append(results, of...)
	}
	return results, nil
}

// fits returns how many of the messages go into one request, one at least.
func (s Subject) fits(all []relay.Message) int {
	limits, bytes, keys := s.Limits(), 0, map[string]bool{}
	for n, m := range all {
		bytes += s.Size(m)
		if n > 0 && (n == limits.Messages || limits.Bytes > 0 && bytes > limits.Bytes || limits.OnePerKey && keys[m.Key]) {
			return n
		}
		keys[m.Key] = true
	}
	return len(all)
}

// taken publishes messages, of which everything must be taken.
func (s Subject) taken(ctx context.Context, request ...relay.Message) error {
	results, err := s.offer(ctx, request...)
	if err != nil {
		return err
	}
	for n, result := range results {
		if result != nil {
			return fmt.Errorf("message %d of %d was not taken, though the bus takes everything: %w", n+1, len(request), result)
		}
	}
	return nil
}

// arrived compares what the bus has with messages.
func (s Subject) arrived(ctx context.Context, want ...relay.Message) error {
	arrivals, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	all := make([]Arrival, len(want))
	for n, m := range want {
		all[n] = arrivalOf(m)
	}
	return same("arrived", append([]Arrival{}, arrivals...), all)
}

// mayPass checks that a result says that the message was not taken and may be.
func mayPass(what string, result error) error {
	if result == nil {
		return fmt.Errorf("%s: the result is that it was taken", what)
	}
	if errors.Is(result, relay.ErrRefused) {
		return fmt.Errorf("%s: it was refused for good: %w", what, result)
	}
	return nil
}
