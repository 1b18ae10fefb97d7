package aggregate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// ErrTaken: another stream holds a value that an event claims; see [TakenError].
var ErrTaken = errors.New("value is taken")

// TakenError says that a decision claims a value that another stream holds. It is a refusal, in a
// [RefusedError], and matches [ErrTaken]. Its text does not name the holder: it is for whoever was
// refused, who need not know who else has an account here.
type TakenError struct {
	Value    string // as "key:value"
	Holder   eventstore.StreamID
	Position eventstore.Position // of the event that took it; 0: one of the same append
}

func (e *TakenError) Error() string {
	return e.Value + " is taken"
}

// Is reports whether target is [ErrTaken].
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// Holder returns the stream that holds a value, given as [eventstore.TagKey.Claim] makes it, and
// whether there is one.
func Holder(ctx context.Context, log eventstore.LogReader, claim eventstore.Tag) (eventstore.StreamID, bool, error) {
	value, ok := claim.Claims()
	if !ok {
		return "", false, &eventstore.InvalidError{What: "claim", Value: string(claim), Reason: "make it by Claim of a TagKey"}
	}
	held, _, err := readHolders(ctx, log, eventstore.ClaimsOn(value))
	if err != nil {
		return "", false, fmt.Errorf("look up who holds %s: %w", value, err)
	}
	h, taken := held[value]
	return h.stream, taken, nil
}

// proposeClaimed proposes what claims nothing that another stream holds. A store checks an append
// that was decided on an old state, but nobody a refusal: so before one, the state is read.
func (x execution) proposeClaimed(ctx context.Context) (proposal, error) {
	for {
		p, err := x.propose(ctx)
		if err != nil {
			return proposal{}, err
		}
		err = x.claim(ctx, &p)
		if !p.old || !errors.Is(err, ErrTaken) {
			return p, err
		}
	}
}

// claim refuses a proposal whose events claim a value that another stream holds, and makes the
// append conditional on what it has seen: of two that find the value free, one is refused, decides
// again, and finds it taken.
func (x execution) claim(ctx context.Context, p *proposal) error {
	query, claims, err := claimsOf(p.request)
	if err != nil || !claims {
		return err
	}
	log, ok := x.store.(eventstore.LogReader)
	if !ok {
		return fmt.Errorf("claim a value: %w: %T does not read the log", eventstore.ErrUnsupported, x.store)
	}
	held, end, err := readHolders(ctx, log, query)
	if err != nil {
		return fmt.Errorf("look up who holds what is claimed: %w", err)
	}
	for _, w := range p.request.Writes {
		for _, e := range w.Events { // an append may release a value and claim it for another stream
			if taken := held.apply(e.Tags, holding{stream: w.Stream}); taken != nil {
				return &RefusedError{taken}
			}
		}
	}
	p.guard(query, end)
	return nil
}

// guard adds to the append's condition that nothing the query selects was appended after a read of
// it, in whose life of the log the append must be. A condition of its own starts from an earlier
// read: what has happened since is then refused too, and decided again.
func (p *proposal) guard(query eventstore.Query, end eventstore.Token) {
	c := eventstore.Condition{FailIf: query, After: end.Position}
	if own := p.request.Condition; own != nil {
		c = eventstore.Condition{FailIf: own.FailIf.Or(query), After: min(own.After, end.Position)}
	}
	p.request.Condition = &c
	p.readIn(end.Identity)
}

// claimsOf returns the query for who holds what the request claims.
func claimsOf(r eventstore.AppendRequest) (query eventstore.Query, claims bool, err error) {
	for _, w := range r.Writes {
		for _, e := range w.Events {
			for _, tag := range e.Tags {
				value, ok := tag.Claims()
				if !ok {
					continue
				}
				if key, rest, _ := strings.Cut(value, ":"); key == "" || rest == "" {
					return query, false, &eventstore.InvalidError{What: "claim", Value: string(tag), Reason: "key and value must not be empty"}
				}
				query.Items = append(query.Items, eventstore.ClaimsOn(value).Items...)
				claims = true
			}
		}
	}
	return query, claims, nil
}

// holding is who has a value, and since where.
type holding struct {
	stream   eventstore.StreamID
	position eventstore.Position
}

// holders are who holds which values.
type holders map[string]holding

// apply notes what an event claims and releases. A value that another stream holds stays with it.
func (h holders) apply(tags []eventstore.Tag, by holding) (taken error) {
	for _, tag := range tags {
		if value, ok := tag.Releases(); ok && h[value].stream == by.stream {
			delete(h, value)
		}
	}
	for _, tag := range tags {
		value, ok := tag.Claims()
		if !ok {
			continue
		}
		if holder, held := h[value]; !held {
			h[value] = by
		} else if holder.stream != by.stream {
			taken = &TakenError{Value: value, Holder: holder.stream, Position: holder.position}
		}
	}
	return taken
}

// readHolders returns who holds what the query is for, and the end of the read that tells.
// Nobody is refused for what stands in the log: who came first has it.
func readHolders(ctx context.Context, log eventstore.LogReader, query eventstore.Query) (holders, eventstore.Token, error) {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: query})
	if err != nil {
		return nil, eventstore.Token{}, err
	}
	held := holders{}
	for recorded, err := range read.Events() {
		if err != nil {
			return nil, eventstore.Token{}, err
		}
		_ = held.apply(recorded.Tags, holding{recorded.Stream, recorded.Position})
	}
	return held, read.Token(), nil
}
