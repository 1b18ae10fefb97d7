package relaytest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/leftfold/leftfold/relay"
)

var clauses = []clause[Subject]{
	{"a message that was taken has arrived, with its id, key, version, type and data", func(ctx context.Context, s Subject) error {
		m := messages("order-1", 1, 1)
		return first(s.taken(ctx, m...), s.arrived(ctx, m...))
	}},
	{"messages of a key arrive in their order", func(ctx context.Context, s Subject) error {
		m := messages("order-1", 1, 5)
		return first(s.taken(ctx, m...), s.arrived(ctx, m...))
	}},
	{"any bytes arrive as they are", func(ctx context.Context, s Subject) error {
		m := messages("order-1", 1, 4)
		m[0].Data, m[1].Data, m[2].Data, m[3].Data = nil, []byte("\x00\xff\xfe"), []byte(`{"a": "<&>\u2028"}`), []byte(`"é"`)
		return first(s.taken(ctx, m...), s.arrived(ctx, m...))
	}},
	{"a request as full as the limits allow is taken", checkFull},
	{"a message that is too large is refused for good, and the others are taken", checkTooLarge},
	{"a message that is refused for now is not there, nor what is behind it in its key", func(ctx context.Context, s Subject) error {
		return checkPartly(ctx, s, Busy, mayPass)
	}},
	{"throttling is told apart from other failures, and is no refusal", func(ctx context.Context, s Subject) error {
		return checkPartly(ctx, s, Throttled, func(what string, result error) error {
			if err := mayPass(what, result); err != nil {
				return err
			}
			if !errors.Is(result, relay.ErrThrottled) {
				return fmt.Errorf("%s: %w, which is no relay.ErrThrottled", what, result)
			}
			return nil
		})
	}},
	{"a refusal for good says so, of its message alone", func(ctx context.Context, s Subject) error {
		return checkPartly(ctx, s, Refused, func(what string, result error) error {
			if !errors.Is(result, relay.ErrRefused) {
				return fmt.Errorf("%s: got %v, want relay.ErrRefused", what, result)
			}
			return nil
		})
	}},
	{"a lost request may pass, and its repeat arrives", func(ctx context.Context, s Subject) error {
		m := messages("order-1", 1, 1)
		s.Break(m[0].ID, Lost)
		results, err := s.offer(ctx, m...)
		if err != nil {
			return err
		}
		return first(mayPass("a message whose request was lost", results[0]), s.arrived(ctx), s.taken(ctx, m...), s.arrived(ctx, m...))
	}},
	{"a lost answer is no success and no refusal, and the repeat has the same id", checkAnswerLost},
	{"a context that has ended publishes nothing and refuses nothing", func(ctx context.Context, s Subject) error {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		results, err := s.offer(ended, messages("order-1", 1, 1)...)
		if err != nil {
			return err
		}
		return first(mayPass("a message under a context that has ended", results[0]), s.arrived(ctx))
	}},
	{"requests of several keys at a time do not touch each other", checkTogether},
	{"the size of a message grows with its data by as many bytes at least", func(_ context.Context, s Subject) error {
		small, large := messages("order-1", 1, 1)[0], messages("order-1", 1, 1)[0]
		large.Data = append(large.Data, bytes.Repeat([]byte(" "), 1000)...)
		if grown := s.Size(large) - s.Size(small); grown < 1000 {
			return fmt.Errorf("1000 bytes more of data are %d bytes more of size", grown)
		}
		return nil
	}},
	{"a relay loses nothing, keeps the order of each key and parks what is refused, under a script of faults", func(ctx context.Context, s Subject) error {
		return checkRelay(ctx, s, seedOfRun, publishAll)
	}},
}

// checkFull fills a request until the next message would be beyond a limit.
func checkFull(ctx context.Context, s Subject) error {
	limits, bytes := s.Limits(), 0
	var full []relay.Message
	for n := range cmp.Or(limits.Messages, 1000) {
		m := messages(fmt.Sprintf("order-%d", n), 1, 1)[0]
		if bytes += s.Size(m); limits.Bytes > 0 && bytes > limits.Bytes {
			break
		}
		full = append(full, m)
	}
	if err := s.taken(ctx, full...); err != nil {
		return err
	}
	arrivals, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	return same("number that arrived", len(arrivals), len(full))
}

// checkTooLarge offers a message that is a byte over the limit, as a relay never does.
func checkTooLarge(ctx context.Context, s Subject) error {
	most := s.Limits().MessageBytes
	if most == 0 {
		return nil // the bus has no such limit, or does not tell: Refused has what it says then
	}
	large, small := messages("order-1", 1, 1)[0], messages("order-2", 1, 1)[0]
	large.Data = bytes.Repeat([]byte("x"), most)
	results, err := s.offer(ctx, large, small)
	if err != nil {
		return err
	}
	if !errors.Is(results[0], relay.ErrRefused) {
		return fmt.Errorf("a message of %d bytes, %d are allowed: got %v, want relay.ErrRefused", s.Size(large), most, results[0])
	}
	return first(results[1], s.arrived(ctx, small))
}

// checkPartly has the bus do something wrong with the first of two messages of a key, beside another key,
// and offers again what was not taken.
func checkPartly(ctx context.Context, s Subject, fault Fault, check func(what string, result error) error) error {
	one, two := messages("order-1", 1, 2), messages("order-2", 1, 1)
	s.Break(one[0].ID, fault)
	request := []relay.Message{one[0], one[1], two[0]}
	together := s.fits(request) == len(request)
	if !together { // a relay would not offer the second one behind the first by another request
		request = []relay.Message{one[0], two[0]}
	}
	results, err := s.offer(ctx, request...)
	if err != nil {
		return err
	}
	if err := check("a message that was "+string(fault), results[0]); err != nil {
		return err
	}
	if together {
		if err := mayPass("the message behind it", results[1]); err != nil {
			return err
		}
	}
	arrivals, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	for _, a := range arrivals {
		if a.Key == "order-1" {
			return fmt.Errorf("version %d of the key has arrived, whose version 1 was not taken", a.Version)
		}
	}
	if other := results[len(results)-1]; other == nil || fault == Refused {
		if err := first(other, same("arrived", append([]Arrival{}, arrivals...), []Arrival{arrivalOf(two[0])})); err != nil {
			return fmt.Errorf("the other key: %w", err)
		}
	}
	s.Break(one[0].ID, Fine)
	if err := s.taken(ctx, one...); err != nil {
		return fmt.Errorf("offered again: %w", err)
	}
	arrivals, err = s.Arrivals(ctx)
	if err != nil {
		return err
	}
	arrivals = slices.DeleteFunc(slices.Clone(arrivals), func(a Arrival) bool { return a.Key != "order-1" })
	return same("arrived of the key", arrivals, []Arrival{arrivalOf(one[0]), arrivalOf(one[1])})
}

func checkAnswerLost(ctx context.Context, s Subject) error {
	m := messages("order-1", 1, 1)
	s.Break(m[0].ID, AnswerLost)
	results, err := s.offer(ctx, m...)
	if err != nil {
		return err
	}
	if err := first(mayPass("a message whose answer was lost", results[0]), s.arrived(ctx, m...), s.taken(ctx, m...)); err != nil {
		return err
	}
	arrivals, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	for _, a := range arrivals {
		if err := same("the repeat", a, arrivalOf(m[0])); err != nil {
			return err
		}
	}
	if len(arrivals) > 2 {
		return fmt.Errorf("a message that was published twice has arrived %d times", len(arrivals))
	}
	return nil
}

// checkTogether has some keys publish at a time.
func checkTogether(ctx context.Context, s Subject) error {
	const keys, each = 8, 5
	failures := make([]error, keys)
	var all sync.WaitGroup
	for n := range keys {
		all.Go(func() { failures[n] = s.taken(ctx, messages(fmt.Sprintf("order-%d", n), 1, each)...) })
	}
	all.Wait()
	arrivals, err := s.Arrivals(ctx)
	if err = first(errors.Join(failures...), err); err != nil {
		return err
	}
	if err := same("number that arrived", len(arrivals), keys*each); err != nil {
		return err
	}
	return inOrder(arrivals)
}
