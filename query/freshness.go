package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// AskOption says what an answer must satisfy.
type AskOption func(*requirement)

// After requires the answer to include everything up to the tokens, of which the
// zero ones require nothing. See [Wait] for how long that may take.
func After(tokens ...eventstore.Token) AskOption {
	return func(r *requirement) {
		for _, token := range tokens {
			if !token.IsZero() {
				r.tokens = append(r.tokens, token)
			}
		}
	}
}

// MaxStale requires the answer to include everything that was in the logs d before the
// question was asked; d <= 0: when it was asked. The logs are those of [Bus.Follow]; a read
// model that follows another one fails the call with [ErrUnknownAge]. So does a head that
// cannot be read within 5 s, with its error. A head that was read within d is not read again, so a
// larger d costs less.
func MaxStale(d time.Duration) AskOption {
	return func(r *requirement) { r.bounded, r.maxStale = true, max(d, 0) }
}

// Wait bounds how long the read models may take to get there, each time a reader is
// asked. Default: 5 s; the context's own deadline ends the wait as well. Zero or less
// does not wait: the read models are there or the call fails. The first look may take a second
// in any case. Of questions within questions the shortest wait counts.
func Wait(most time.Duration) AskOption {
	return func(r *requirement) { r.wait = most }
}

// OrStale answers with what there is when [Wait] is over and the read models did not get
// there, and says so: what is required and not included is in told.Missing. An answer whose
// told.Missing nobody looks at is a lie to the user who has just written, so with nil the call
// fails as without this option.
//
// It is of no help where no wait would be: tokens of stores that nobody follows, a store that was
// rolled back, parked keys, a read model that was never built.
func OrStale(told *Freshness) AskOption {
	return func(r *requirement) {
		r.orStale = r.orStale || told != nil
		r.told = append(r.told, told)
	}
}

// Tell fills in how fresh the answer is when the call returns without an error; else it leaves told
// as it was.
func Tell(told *Freshness) AskOption {
	return func(r *requirement) { r.told = append(r.told, told) }
}

// Lenient leaves tokens of stores that no reader of the query follows to other queries. Which
// ones the answer includes is in the [Freshness].
func Lenient() AskOption {
	return func(r *requirement) { r.lenient = true }
}

const defaultWait = 5 * time.Second

// requirement travels in the context from Ask to the readers.
type requirement struct {
	name     string       // the query's
	outer    *requirement // of the Ask whose handler asks this one
	tokens   []eventstore.Token
	lenient  bool // about stores of tokens that nobody follows
	wait     time.Duration
	orStale  bool
	told     []*Freshness // some may be nil
	bounded  bool         // by maxStale
	maxStale time.Duration
	heads    []*Head
	bounds   []eventstore.Token // the heads as they were maxStale ago, or later

	mu     sync.Mutex
	opened map[string]bool             // read models that a reader was opened on
	met    map[eventstore.StoreID]bool // stores that a reader has seen as far as is required
	report report
	waited time.Duration
	fresh  bool // the handler has answered as was required

	excused bool // a part of a composition is missing, see Compose
}

type requirementKey struct{}

func newRequirement(ctx context.Context, bus *Bus, name string, options []AskOption) (*requirement, error) {
	r := &requirement{name: name, wait: defaultWait, heads: bus.heads, opened: map[string]bool{}, met: map[eventstore.StoreID]bool{}}
	r.outer = requirementIn(ctx)
	for _, option := range options {
		option(r)
	}
	if !r.bounded {
		return r, nil
	}
	if len(r.heads) == 0 {
		return nil, fmt.Errorf("%w: the bus knows no log; give it heads by Bus.Follow", ErrUnknownAge)
	}
	asked := time.Now()
	for _, head := range r.heads {
		at, err := head.since(ctx, asked.Add(-r.maxStale))
		if err != nil {
			return nil, fmt.Errorf("read the head of the log, to tell how old an answer is: %w", err)
		}
		r.bounds = append(r.bounds, at)
	}
	return r, nil
}

// required returns what readers must reach.
func (r *requirement) required() []eventstore.Token { return slices.Concat(r.tokens, r.bounds) }

// Wanted reports whether anybody wants to know how far the readers under ctx see: something is required
// of them, or their freshness is to be told.
func Wanted(ctx context.Context) bool {
	for r := requirementIn(ctx); r != nil; r = r.outer {
		if r.bounded || len(r.tokens)+len(r.told) > 0 {
			return true
		}
	}
	return false
}

// Required returns what [Ask] requires of the readers under ctx; nil if it requires nothing.
func Required(ctx context.Context) (tokens []eventstore.Token) {
	for r := requirementIn(ctx); r != nil; r = r.outer {
		tokens = append(tokens, r.required()...)
	}
	return tokens
}

func requirementIn(ctx context.Context) *requirement {
	r, _ := ctx.Value(requirementKey{}).(*requirement)
	return r
}

// honoured reports what the handler forgot.
func (r *requirement) honoured(reads []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, model := range reads {
		if !r.excused && !r.opened[model] {
			return fmt.Errorf("the handler declares that it reads %q but opened no reader of it", model)
		}
	}
	for _, token := range r.tokens {
		if !r.lenient && !r.excused && !r.met[token.Store] {
			return fmt.Errorf("%w: no reader of this query follows the store of %s", eventstore.ErrForeignToken, token)
		}
	}
	if err := r.proven(); err != nil {
		return err
	}
	r.fresh = true
	return nil
}

// proven returns an error if what the readers have reported does not show what is required. Those
// that use [Await] were held up before; this is for [Include]. It is called under mu.
func (r *requirement) proven() error {
	switch missing, err := r.missing(); {
	case err != nil:
		return err
	case len(missing) > 0 && !r.orStale:
		return fmt.Errorf("a reader answered with less than what is required of it, it lacks %s", missing[0])
	}
	if r.bounded && !r.excused && len(r.report.seen) == 0 {
		return fmt.Errorf("%w: no reader of this query has told what its answer includes", ErrUnknownAge)
	}
	if store, known := r.knows(r.report.seen); !known {
		return fmt.Errorf("%w: the answer was read from store %s, and the bus does not know how far its log has come; give its head to Bus.Follow", ErrUnknownAge, store)
	}
	return nil
}

// knows reports whether heads of all these stores are known, if they must be; else of which not.
func (r *requirement) knows(applied []eventstore.Token) (eventstore.StoreID, bool) {
	for _, token := range applied {
		known := slices.ContainsFunc(r.bounds, func(head eventstore.Token) bool { return head.Store == token.Store })
		if r.bounded && !known {
			return token.Store, false
		}
	}
	return eventstore.StoreID{}, true
}

// checked returns why an answer may be stale that has come through middleware.
func (r *requirement) checked() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.required()) > 0 && !r.fresh {
		return errors.New("middleware answered in the place of the handler: whether that includes what After requires is not known")
	}
	return nil
}
