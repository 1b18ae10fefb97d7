package aggregate

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Bounds of the attempts.
const (
	defaultAttempts = 10 // to decide, unless Options or an option say otherwise
	unknownAttempts = 5  // to append one decision while its outcome is unknown
)

// execution is one decision on its way into the log: the loop that Execute, ExecuteAll
// and Decide share. They differ in what they propose.
type execution struct {
	store    executionStore
	command  eventstore.Command // zero: not idempotent
	attempts int

	// propose reads, decides and encodes. It starts from nothing each time.
	propose func(context.Context) (proposal, error)
}

type executionStore interface {
	eventstore.Appender
	Head(ctx context.Context) (eventstore.Token, error)
}

// proposal is what a try wants to append, with the versions that it was decided on.
type proposal struct {
	request  eventstore.AppendRequest
	versions map[eventstore.StreamID]eventstore.Version
	old      bool // a state of them may be older than the log
}

// readIn says in which life of the log a part of what was decided on was read; zero: in any. If
// the parts differ, the append is for the older one: then the store refuses it.
func (p *proposal) readIn(life eventstore.Identity) {
	if l := p.request.Life; l == (eventstore.Identity{}) || life.Store == l.Store && life.Incarnation < l.Incarnation {
		p.request.Life = life
	}
}

func (x execution) run(ctx context.Context) (eventstore.Receipt, error) {
	limit := x.attempts
	if limit <= 0 {
		limit = defaultAttempts
	}
	for attempt := 1; ; attempt++ {
		p, err := x.proposeClaimed(ctx)
		if err != nil {
			return x.refuse(ctx, err)
		}
		p.request.Command = x.command
		if p.request.EventCount() == 0 && x.command.ID.IsZero() {
			return x.unchanged(ctx, p)
		}
		receipt, err := x.append(ctx, p.request)
		if !isConflict(err) || limit == 1 {
			return receipt, err
		}
		if attempt == limit {
			return eventstore.Receipt{}, fmt.Errorf("gave up after %d attempts: %w", attempt, err)
		}
		if stopped := pause(ctx, attempt); stopped != nil {
			return eventstore.Receipt{}, fmt.Errorf("%w, after %w", stopped, err)
		}
	}
}

// refuse ends a try that came to no proposal. A repeated command meets its own effect:
// Withdraw(all) succeeds, the answer is lost, and the repeat finds an empty account and
// refuses; or it finds the stream deleted, by itself. So the id is looked up before any
// error is believed. If the lookup fails the refusal must not be reported at all: the
// caller would take a command for refused that may have succeeded.
func (x execution) refuse(ctx context.Context, refusal error) (eventstore.Receipt, error) {
	if x.command.ID.IsZero() {
		return eventstore.Receipt{}, refusal
	}
	receipt, found, err := x.store.LookupCommand(ctx, x.command)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("look up the command after %q: %w", refusal.Error(), err)
	}
	if !found {
		return eventstore.Receipt{}, refusal
	}
	return receipt, nil
}

// unchanged is the receipt of a decision that nothing needs to happen, when there is no
// command to remember. The head is asked for after the load, so its token covers it.
func (x execution) unchanged(ctx context.Context, p proposal) (eventstore.Receipt, error) {
	head, err := x.store.Head(ctx)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return eventstore.Receipt{Token: head, Versions: p.versions}, nil
}

// append appends the request, and under a command id repeats it while its outcome is
// unknown: the store looks the id up first, so the repeat settles it.
//
// Not every later error settles it. If the first answer was lost and the repeat is told
// that the store is busy, then the repeat was not appended; the first still may be.
func (x execution) append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := x.store.Append(ctx, request)
	if x.command.ID.IsZero() || !errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return receipt, err
	}
	unknown := err
	for attempt := 1; attempt < unknownAttempts; attempt++ {
		if stopped := pause(ctx, attempt); stopped != nil {
			return eventstore.Receipt{}, fmt.Errorf("%w; %w", unknown, stopped)
		}
		receipt, err = x.store.Append(ctx, request)
		if settled(err) {
			return receipt, err
		}
	}
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return eventstore.Receipt{}, err
	}
	return eventstore.Receipt{}, fmt.Errorf("%w; repeated: %w", unknown, err)
}

// settled reports whether the outcome of an append proves what became of an earlier one
// under the same id: the answer must come from after the lookup.
func settled(err error) bool {
	return err == nil || isConflict(err) ||
		errors.Is(err, eventstore.ErrIdempotencyMismatch) ||
		errors.Is(err, eventstore.ErrStreamDeleted)
}

// isConflict reports whether the log has moved on between reading and appending, or has failed
// over and may have lost what was read.
func isConflict(err error) bool {
	return errors.Is(err, eventstore.ErrVersionConflict) || errors.Is(err, eventstore.ErrConditionFailed) || errors.Is(err, eventstore.ErrDiverged)
}
