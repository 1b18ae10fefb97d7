package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// InlineParts are what the suite of stores that apply projections inline works with.
type InlineParts[Tx any] struct {
	// Open opens a store with the projections as the inline ones of its options. All that it
	// returns are open at the same time, on one log that is empty at first.
	Open func(ctx context.Context, inline projection.Inline[Tx]) (InlineStore[Tx], error)
	// Add adds one to a counter, in the transaction.
	Add func(ctx context.Context, tx Tx, counter string) error
	// Read returns a counter as committed; 0 if there is none.
	Read func(ctx context.Context, counter string) (int, error)
	// SetBack moves the checkpoint of an inline projection one position back, as no program of
	// ours does.
	SetBack func(ctx context.Context, of projection.Generation) error
}

// InlineStore is a store that applies projections inline.
type InlineStore[Tx any] struct {
	Store interface {
		eventstore.Store
		eventstore.StreamDeleter
	}
	// Sink keeps the read models of the store.
	Sink interface {
		projection.Sink
		projection.TxSink[Tx]
	}
	// Switch makes the projections of the options the inline ones.
	Switch func(ctx context.Context) error
}

// RunInline checks stores that apply projections in the transactions of their appends against
// every clause of [projection.Inline].
func RunInline[Tx any](t *testing.T, open func(t testing.TB) InlineParts[Tx]) {
	run(t, inlineClauses[Tx](), open)
}

// CheckInline checks one clause of [RunInline], named by its sentence, and returns what is
// wrong: for a test that plants a bug.
func CheckInline[Tx any](ctx context.Context, p InlineParts[Tx], rule string) error {
	for _, c := range inlineClauses[Tx]() {
		if c.rule == rule {
			return c.check(ctx, p)
		}
	}
	return fmt.Errorf("there is no clause %q", rule)
}

// tallies are the two views of the suite.
func (p InlineParts[Tx]) tallies() projection.Inline[Tx] {
	return projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{tallies, total}}
}

// switched opens a store and switches it to the projections.
func (p InlineParts[Tx]) switched(ctx context.Context, inline projection.Inline[Tx]) (s InlineStore[Tx], parts Parts, err error) {
	if s, err = p.Open(ctx, inline); err != nil {
		return s, parts, fmt.Errorf("open: %w", err)
	}
	if err = s.Switch(ctx); err != nil {
		return s, parts, fmt.Errorf("switch: %w", err)
	}
	return s, Parts{s.Store, s.Sink}, nil
}

// strict refuses negative amounts, and cannot store an amount of 13. Every event touches the
// row "all" besides that of its stream.
var strict = projection.NewView("strict", projection.ViewOptions{Version: 1},
	projection.When(refuseNegative),
	projection.WhenKeyed(func(counted, eventstore.Recorded) string { return "all" }, func(row *fraction, e counted, _ eventstore.Recorded) {
		row.Events++
		if e.Amount == 13 {
			row.Share = math.NaN()
		}
	}))

type fraction struct {
	Events int64
	Share  float64
}

var errNegative = errors.New("amounts are not negative")

func refuseNegative(row *fraction, e counted, _ eventstore.Recorded) {
	switch {
	case e.Amount == -2:
		runtime.Goexit()
	case e.Amount < 0:
		panic(errNegative)
	}
	row.Events++
}

func (p InlineParts[Tx]) strict() projection.Inline[Tx] {
	return projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{tallies, total, strict}}
}

// counting counts the events of each stream by the store's own transaction, tombstones too. It
// refuses the stream "refused" after it has counted it.
func (p InlineParts[Tx]) counting() *projection.Handler[Tx] {
	return projection.NewHandler("counting", projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx Tx, m eventstore.Recorded) error {
		if err := p.Add(ctx, tx, m.Stream.ID()); err != nil {
			return err
		}
		if m.Stream.ID() == "refused" {
			return errNegative
		}
		return nil
	})
}

// together runs so many functions at a time, and returns their errors in order.
func together(n int, do func(n int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errs
}

// refusedIn checks that the append was refused by the view.
func refusedIn(err error, of projection.Generation) error {
	var refused *projection.InlineError
	if !errors.As(err, &refused) {
		return fmt.Errorf("got error %v, want a *projection.InlineError", err)
	}
	return same("projection", refused.Generation, of)
}

// refusedBy checks that the append was refused by the view for the key and the stream.
func refusedBy(err error, of projection.Generation, key, stream string) error {
	var refused *projection.InlineError
	if !errors.As(err, &refused) {
		return fmt.Errorf("got error %v, want a *projection.InlineError", err)
	}
	return first(same("projection", refused.Generation, of), same("key", refused.Key, key),
		same("stream", refused.Event.Stream, eventstore.NewStreamID("tally", stream)))
}

func headIs(ctx context.Context, store eventstore.Store, want eventstore.Position) error {
	head, err := store.Head(ctx)
	return first(err, same("head", head.Position, want))
}

func inlineClauses[Tx any]() []clause[InlineParts[Tx]] {
	type parts = InlineParts[Tx]
	return []clause[parts]{
		{"an append by an old program is folded as the events that it stands for", func(ctx context.Context, p parts) error {
			view := ledgers(1, true)
			_, parts, err := p.switched(ctx, projection.Inline[Tx]{Events: pastEvents, Views: []projection.InlineView{view}})
			if err != nil {
				return err
			}
			return first(parts.past(ctx, thePast...), parts.ledgersAre(ctx, view, itsLedgers...))
		}},
		{"when an append returns, readers see its rows, and the checkpoint is at its token", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.tallies())
			if err != nil {
				return err
			}
			bus := query.NewBus()
			reader := projection.NewReader(s.Sink, tallies)
			query.Handle(bus, "tally", func(ctx context.Context, id string) (tally, error) { return reader.Get(ctx, id) }, query.Reads("tallies"))
			for n := range 20 {
				receipt, err := parts.append(ctx, "a", counted{1}, uncounted{})
				if err != nil {
					return err
				}
				at, err := s.Sink.Checkpoint(ctx, tallies.Generation(), receipt.Token.Store)
				if err := first(err, same("checkpoint", at.Token(), receipt.Token)); err != nil {
					return err
				}
				row, err := query.Ask[tally](ctx, bus, "a", query.After(receipt.Token), query.Wait(0))
				if err := first(err, same("events seen", row.Events, int64(n+1))); err != nil {
					return err
				}
			}
			return nil
		}},
		{"a later version that is made inline is live from then on, and the one before is kept", func(ctx context.Context, p parts) error {
			_, parts, err := p.switched(ctx, projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{talliesAt(1)}})
			if err != nil {
				return err
			}
			if _, err := parts.append(ctx, "a", counted{1}, counted{2}); err != nil {
				return err
			}
			s, parts, err := p.switched(ctx, projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{talliesAt(2)}})
			if err != nil {
				return err
			}
			builds, err := s.Sink.Builds(ctx, "tallies")
			var stages []projection.Stage
			for _, b := range builds {
				stages = append(stages, b.Stage)
			}
			if err := first(err, same("stages", stages, []projection.Stage{projection.Kept, projection.Live})); err != nil {
				return err
			}
			if _, err := parts.append(ctx, "a", counted{3}); err != nil {
				return err
			}
			row, err := projection.NewReader(s.Sink, talliesAt(2)).Get(ctx, "a")
			return first(err, same("events seen", row.Events, int64(3)))
		}},
		{"what appends apply is not paused, reset or held by others", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{talliesAt(1)}})
			if err != nil {
				return err
			}
			head, err := s.Store.Head(ctx)
			if err != nil {
				return err
			}
			of := talliesAt(1).Generation()
			_, err = s.Sink.Leases(of, head.Store).Seize(ctx, ann, long)
			err = first(err,
				is("a pause", projection.Pause(ctx, s.Store, s.Sink, of), subscription.ErrHeld),
				is("a reset", projection.Reset(ctx, s.Store, s.Sink, talliesAt(1)), projection.ErrInlineAttended))
			if err != nil {
				return err
			}
			if _, err := parts.append(ctx, "a", counted{1}); err != nil {
				return fmt.Errorf("append after that: %w", err)
			}
			row, err := projection.NewReader(s.Sink, talliesAt(1)).Get(ctx, "a")
			return first(err, same("events seen", row.Events, int64(1)))
		}},
		{"what appends apply follows no other store, until they apply it no more", func(ctx context.Context, p parts) error {
			inline := projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{talliesAt(1)}}
			set, err := inline.Resolve()
			if err != nil {
				return err
			}
			s, parts, err := p.switched(ctx, inline)
			if err != nil {
				return err
			}
			other := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
			if err := is("open for another store", s.Sink.Open(ctx, set.Models()[0], other), projection.ErrInline); err != nil {
				return err
			}
			if _, err := parts.append(ctx, "a", counted{1}); err != nil {
				return fmt.Errorf("append after that: %w", err)
			}
			if _, _, err := p.switched(ctx, projection.Inline[Tx]{}); err != nil {
				return err
			}
			return s.Sink.Open(ctx, set.Models()[0], other)
		}},
		{"appends of many writers take effect once each and in order", func(ctx context.Context, p parts) error {
			_, parts, err := p.switched(ctx, p.tallies())
			if err != nil {
				return err
			}
			errs := together(8, func(w int) error {
				for n := range 25 {
					if _, err := parts.append(ctx, fmt.Sprintf("s%d", (w+n)%5), counted{int64(n)}, uncounted{}, counted{1}); err != nil {
						return err
					}
				}
				return nil
			})
			return first(errors.Join(errs...), parts.agrees(ctx))
		}},
		{"an append that is refused or repeated touches no row", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.tallies())
			if err != nil {
				return err
			}
			data, err := tallyEvents.Encode(counted{5})
			if err != nil {
				return err
			}
			request := eventstore.AppendRequest{
				Command: eventstore.Command{ID: eventstore.NewCommandID("once")},
				Writes:  []eventstore.Write{{Stream: "tally-a", Events: []eventstore.EventData{data}}},
			}
			for range 3 {
				if _, err := s.Store.Append(ctx, request); err != nil {
					return err
				}
			}
			conflict := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "tally-a", Expected: eventstore.NoStream, Events: []eventstore.EventData{data}}}}
			errs := together(8, func(n int) error {
				if n%2 == 0 {
					_, err := s.Store.Append(ctx, conflict)
					return is("conflict", err, eventstore.ErrVersionConflict)
				}
				_, err := parts.append(ctx, fmt.Sprint(n), counted{1})
				return err
			})
			return first(errors.Join(errs...), headIs(ctx, s.Store, 5), parts.agrees(ctx))
		}},
		{"an event that a view cannot apply refuses its own append only, and is named", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.strict())
			if err != nil {
				return err
			}
			const writers, each = 12, 10
			errs := together(writers, func(w int) error {
				for n := range each {
					bad := (w+n)%4 == 0
					amount := int64(n)
					if bad {
						amount = -1 - int64(n)%2 // a panic, or the end of its goroutine
					}
					stream := fmt.Sprintf("s%d", w)
					_, err := parts.append(ctx, stream, counted{1}, counted{amount})
					switch {
					case bad && amount == -1:
						err = first(refusedBy(err, strict.Generation(), stream, stream), is("refusal", err, errNegative))
					case bad: // a goroutine that ends cannot say on what
						err = refusedIn(err, strict.Generation())
					}
					if err != nil {
						return fmt.Errorf("append %d of %s: %w", n, stream, err)
					}
				}
				return nil
			})
			good := 0
			for w := range writers {
				for n := range each {
					if (w+n)%4 != 0 {
						good++
					}
				}
			}
			head, err := s.Store.Head(ctx)
			if err := first(errors.Join(errs...), err, same("head", head.Position, eventstore.Position(2*good)), parts.agrees(ctx)); err != nil {
				return err
			}
			status, err := projection.StatusOf(ctx, s.Store, s.Sink, strict.Generation())
			return first(err, same("parked", len(status.Parked), 0), same("position", status.Position, head.Position))
		}},
		{"a value that cannot be stored refuses the append that made it, and not the next one on its row", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.strict())
			if err != nil {
				return err
			}
			for range 5 {
				errs := together(12, func(w int) error {
					stream := fmt.Sprintf("s%d", w)
					if w != 3 {
						_, err := parts.append(ctx, stream, counted{1})
						return err
					}
					_, err := parts.append(ctx, stream, counted{13})
					return refusedBy(err, strict.Generation(), "all", stream)
				})
				if err := errors.Join(errs...); err != nil {
					return err
				}
			}
			row, err := projection.NewReader(s.Sink, strict).Get(ctx, "all")
			return first(err, same("row", row, fraction{Events: 55}), headIs(ctx, s.Store, 55), parts.agrees(ctx))
		}},
		{"an event that does not decode refuses its append, and is named", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.tallies())
			if err != nil {
				return err
			}
			broken := eventstore.Write{Stream: "tally-b", Events: []eventstore.EventData{{Type: "test.counted", Data: []byte("{")}}}
			errs := together(8, func(n int) error {
				if n == 4 {
					_, err := s.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{broken}})
					return refusedBy(err, total.Generation(), "", "b")
				}
				_, err := parts.append(ctx, fmt.Sprint(n), counted{1})
				return err
			})
			if refused := errs[4]; refused != nil { // whichever view is asked first
				_, err := s.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{broken}})
				errs[4] = refusedBy(err, tallies.Generation(), "b", "b")
			}
			return first(errors.Join(errs...), headIs(ctx, s.Store, 7), parts.agrees(ctx))
		}},
		{"a handler writes in the append's transaction, and refuses its own append only", func(ctx context.Context, p parts) error {
			inline := p.tallies()
			inline.Handlers = append(inline.Handlers, p.counting())
			s, parts, err := p.switched(ctx, inline)
			if err != nil {
				return err
			}
			errs := together(12, func(n int) error {
				if n%4 == 1 {
					_, err := parts.append(ctx, "refused", counted{1})
					return first(is("refusal", err, errNegative), refusedBy(err, projection.Generation{Name: "counting", Version: 1}, "", "refused"))
				}
				_, err := parts.append(ctx, fmt.Sprintf("s%d", n), counted{1}, counted{2})
				return err
			})
			if err := errors.Join(errs...); err != nil {
				return err
			}
			for n := range 12 {
				want := 2
				if n%4 == 1 {
					want = 0
				}
				got, err := p.Read(ctx, fmt.Sprintf("s%d", n))
				if err := first(err, same("counter", got, want)); err != nil {
					return err
				}
			}
			got, err := p.Read(ctx, "refused")
			return first(err, same("counter of what was refused", got, 0), headIs(ctx, s.Store, 18), parts.agrees(ctx))
		}},
		{"the end of a stream reaches a handler of every event", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, projection.Inline[Tx]{Handlers: []*projection.Handler[Tx]{p.counting()}})
			if err != nil {
				return err
			}
			if _, err := parts.append(ctx, "a", counted{1}); err != nil {
				return err
			}
			if _, err := s.Store.DeleteStream(ctx, "tally-a", eventstore.Any); err != nil {
				return err
			}
			got, err := p.Read(ctx, "a")
			return first(err, same("counter", got, 2))
		}},
		{"a program with other inline projections cannot append, is told which, and can read", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.tallies())
			if err != nil {
				return err
			}
			if _, err := parts.append(ctx, "a", counted{1}); err != nil {
				return err
			}
			more := p.strict()
			for what, other := range map[string]struct {
				inline projection.Inline[Tx]
				names  []string
			}{
				"none": {projection.Inline[Tx]{}, []string{"tallies@1", "total@1"}},
				"one":  {projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{tallies}}, []string{"total@1"}},
				"more": {more, []string{"strict@1", "SwitchInline"}},
			} {
				o, err := p.Open(ctx, other.inline)
				if err != nil {
					return err
				}
				for range 2 { // the second time the store has told it how things are
					_, err = Parts{o.Store, o.Sink}.append(ctx, "a", counted{1})
					if err := is(what, err, projection.ErrInlineMismatch); err != nil {
						return err
					}
				}
				_, lone := o.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
					Stream: "tally-lone", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "test.counted", Data: []byte(`{"Amount":1}`)}},
				}}})
				if err := is(what+", a lone event", lone, projection.ErrInlineMismatch); err != nil {
					return err
				}
				for _, name := range other.names {
					if !strings.Contains(err.Error(), name) {
						return fmt.Errorf("%s: the error does not name %s: %w", what, name, err)
					}
				}
				if err := (Parts{o.Store, o.Sink}).agrees(ctx); err != nil {
					return err
				}
			}
			return first(headIs(ctx, s.Store, 1), parts.agrees(ctx))
		}},
		{"before the switch a program with inline projections cannot append", func(ctx context.Context, p parts) error {
			s, err := p.Open(ctx, p.tallies())
			if err != nil {
				return err
			}
			parts := Parts{s.Store, s.Sink}
			_, err = parts.append(ctx, "a", counted{1})
			if err := first(is("append", err, projection.ErrInlineMismatch), headIs(ctx, s.Store, 0), s.Switch(ctx)); err != nil {
				return err
			}
			_, err = parts.append(ctx, "a", counted{1})
			return first(err, parts.agrees(ctx))
		}},
		{"a projection becomes inline from where its runner was, and goes back to it", func(ctx context.Context, p parts) error {
			plain, err := p.Open(ctx, projection.Inline[Tx]{})
			if err != nil {
				return err
			}
			async := Parts{plain.Store, plain.Sink}
			if err := first(async.fill(ctx, 30), async.runner().CatchUp(ctx), async.fill(ctx, 20)); err != nil {
				return err
			}
			_, inline, err := p.switched(ctx, p.tallies())
			if err := first(err, async.agrees(ctx), inline.fill(ctx, 20), async.agrees(ctx)); err != nil {
				return err
			}
			return first(plain.Switch(ctx), async.fill(ctx, 20), async.runner().CatchUp(ctx), async.agrees(ctx))
		}},
		{"a projection that is far behind is built by the switch", func(ctx context.Context, p parts) error {
			inline := p.tallies()
			inline.Handlers = append(inline.Handlers, p.counting())
			plain, err := p.Open(ctx, projection.Inline[Tx]{})
			if err != nil {
				return err
			}
			many := slices.Repeat([]any{counted{2}}, 700)
			for _, stream := range []string{"a", "b"} {
				if _, err := (Parts{plain.Store, plain.Sink}).append(ctx, stream, many...); err != nil {
					return err
				}
			}
			_, parts, err := p.switched(ctx, inline)
			if err := first(err, parts.agrees(ctx), parts.fill(ctx, 10), parts.agrees(ctx)); err != nil {
				return err
			}
			got, err := p.Read(ctx, "a")
			return first(err, same("counter", got, 704))
		}},
		{"what a worker has under way when its projection becomes inline does not take effect", func(ctx context.Context, p parts) error {
			plain, err := p.Open(ctx, projection.Inline[Tx]{})
			if err != nil {
				return err
			}
			async := Parts{plain.Store, plain.Sink}
			if err := first(async.fill(ctx, 5), async.runner().CatchUp(ctx)); err != nil {
				return err
			}
			head, err := plain.Store.Head(ctx)
			if err != nil {
				return err
			}
			leases := plain.Sink.Leases(total.Generation(), head.Store)
			zombie, err := leases.Acquire(ctx, "zombie", subscription.Whole, clauseTimeout)
			if err != nil {
				return err
			}
			_, inline, err := p.switched(ctx, p.tallies())
			if err != nil {
				return err
			}
			model := projection.Model{Generation: total.Generation()}
			late := plain.Sink.Commit(ctx, model, projection.Move{From: zombie, To: onward(zombie, 1)}, nil)
			_, again := leases.Acquire(ctx, "zombie", subscription.Whole, clauseTimeout)
			return first(is("commit", late, subscription.ErrStale), is("acquire", again, subscription.ErrHeld), inline.fill(ctx, 5), inline.agrees(ctx))
		}},
		{"status says that a projection is inline, a runner of it is told, and a worker waits", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.tallies())
			if err := first(err, parts.fill(ctx, 5)); err != nil {
				return err
			}
			if err := is("catch up", parts.runner().CatchUp(ctx), projection.ErrInline); err != nil {
				return err
			}
			if err := is("run", parts.runner().Run(ctx), projection.ErrInline); err != nil {
				return err
			}
			working, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() {
				ended <- projection.Worker{Log: s.Store, Events: tallyEvents, Tasks: parts.runner().Tasks, Segments: 2}.Run(working)
			}()
			var status projection.Status
			for status.Workers == nil && err == nil { // until the worker attends
				err = first(parts.fill(ctx, 1), ctx.Err())
				if err == nil {
					status, err = projection.StatusOf(ctx, s.Store, s.Sink, tallies.Generation())
				}
			}
			stop()
			if err := first(err, <-ended); err != nil {
				return err
			}
			status, err = projection.StatusOf(ctx, s.Store, s.Sink, tallies.Generation())
			return first(err, same("segments", len(status.Segments), 1), same("holder", status.Segments[0].Holder, subscription.Inline),
				same("lag", status.Lag(), int64(0)), parts.fill(ctx, 5), parts.agrees(ctx))
		}},
		{"switched to and fro under writers and workers, every event takes effect once", func(ctx context.Context, p parts) error {
			plain, err := p.Open(ctx, projection.Inline[Tx]{})
			if err != nil {
				return err
			}
			inline, err := p.Open(ctx, p.tallies())
			if err != nil {
				return err
			}
			return toAndFro(ctx, plain, inline)
		}},
		{"while keys are parked a projection does not become inline", func(ctx context.Context, p parts) error {
			plain, err := p.Open(ctx, projection.Inline[Tx]{})
			if err != nil {
				return err
			}
			async := Parts{plain.Store, plain.Sink}
			if err := first(async.fill(ctx, 3), async.runner().CatchUp(ctx)); err != nil {
				return err
			}
			head, err := plain.Store.Head(ctx)
			if err != nil {
				return err
			}
			at, err := plain.Sink.Checkpoint(ctx, total.Generation(), head.Store)
			if err != nil {
				return err
			}
			move := projection.Move{From: at, To: at, Park: []projection.Parked{parkedKey("all")}}
			move.To.Parks++
			if err := plain.Sink.Commit(ctx, projection.Model{Generation: total.Generation()}, move, nil); err != nil {
				return err
			}
			s, err := p.Open(ctx, p.tallies())
			if err != nil {
				return err
			}
			var parked *projection.ParkedError
			if err := s.Switch(ctx); !errors.As(err, &parked) {
				return fmt.Errorf("switch: got error %v, want a *projection.ParkedError", err)
			}
			return async.fill(ctx, 1) // nothing was switched
		}},
		{"an event that a projection cannot apply keeps it from becoming inline", func(ctx context.Context, p parts) error {
			plain, err := p.Open(ctx, projection.Inline[Tx]{})
			if err != nil {
				return err
			}
			async := Parts{plain.Store, plain.Sink}
			if _, err := async.append(ctx, "a", counted{1}, counted{-1}); err != nil {
				return err
			}
			s, err := p.Open(ctx, p.strict())
			if err != nil {
				return err
			}
			return first(refusedBy(s.Switch(ctx), strict.Generation(), "a", "a"), async.fill(ctx, 1))
		}},
		{"a definition that was changed without a new version does not become inline", func(ctx context.Context, p parts) error {
			if _, _, err := p.switched(ctx, p.tallies()); err != nil {
				return err
			}
			changed := projection.NewView("total", projection.ViewOptions{Version: 1}, projection.When(count))
			s, err := p.Open(ctx, projection.Inline[Tx]{Events: tallyEvents, Views: []projection.InlineView{tallies, changed}})
			if err != nil {
				return err
			}
			_, err = Parts{s.Store, s.Sink}.append(ctx, "a", counted{1})
			return first(is("append", err, projection.ErrInlineMismatch), is("switch", s.Switch(ctx), projection.ErrDefinitionChanged))
		}},
		{"rows that lack events stop every append, until the store is switched again", func(ctx context.Context, p parts) error {
			s, parts, err := p.switched(ctx, p.tallies())
			if err := first(err, parts.fill(ctx, 5), p.SetBack(ctx, total.Generation())); err != nil {
				return err
			}
			head, err := s.Store.Head(ctx)
			if err != nil {
				return err
			}
			for range 2 {
				_, err := parts.append(ctx, "a", counted{1})
				if err := is("append", err, projection.ErrInlineMismatch); err != nil {
					return err
				}
				if !strings.Contains(err.Error(), "total@1") {
					return fmt.Errorf("the error does not name what is behind: %w", err)
				}
			}
			return first(headIs(ctx, s.Store, head.Position), s.Switch(ctx), parts.fill(ctx, 1))
		}},
		{"definitions that cannot be inline fail when the store is opened", func(ctx context.Context, p parts) error {
			for what, inline := range map[string]projection.Inline[Tx]{
				"no events":  {Views: []projection.InlineView{tallies}},
				"twice":      {Events: tallyEvents, Views: []projection.InlineView{tallies, tallies}},
				"no view":    {Events: tallyEvents, Views: []projection.InlineView{nil}},
				"no handler": {Handlers: []*projection.Handler[Tx]{nil}},
			} {
				if _, err := p.Open(ctx, inline); err == nil || !strings.Contains(err.Error(), "inline") {
					return fmt.Errorf("%s: got error %v", what, err)
				}
			}
			return nil
		}},
	}
}

// toAndFro switches between a store without inline projections and one with them, while
// writers append to whichever accepts them and workers run.
func toAndFro[Tx any](ctx context.Context, plain, inline InlineStore[Tx]) error {
	const switches, writers, least = 12, 3, 300
	p := Parts{plain.Store, plain.Sink}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- projection.Worker{Log: plain.Store, Events: tallyEvents, Tasks: p.runner().Tasks, Segments: 1, TTL: tortureTTL, Window: 20}.Run(working)
	}()
	done := make(chan struct{})
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() {
			for n := 0; errs[w] == nil; n++ {
				select {
				case <-done:
					if n >= least {
						return
					}
				default:
				}
				to := []InlineStore[Tx]{plain, inline}[n%2]
				_, err := Parts{to.Store, to.Sink}.append(ctx, fmt.Sprintf("s%d", (w+n)%7), counted{int64(n)})
				switch {
				case err != nil && !errors.Is(err, projection.ErrInlineMismatch) && !errors.Is(err, eventstore.ErrStoreBusy):
					errs[w] = err
					fail(err)
				}
			}
		})
	}
	err := func() error {
		for n := range switches {
			to := []InlineStore[Tx]{inline, plain}[n%2]
			for {
				err := to.Switch(ctx)
				if err == nil {
					break
				}
				if !errors.Is(err, eventstore.ErrStoreBusy) {
					return fmt.Errorf("switch %d: %w", n, err)
				}
			}
			before, err := plain.Store.Head(ctx)
			if err != nil {
				return err
			}
			if err := eventstore.WaitAppended(ctx, plain.Store, before.Position+20); err != nil {
				return err
			}
		}
		return nil
	}()
	close(done)
	all.Wait()
	// The last switch was to the plain store: the worker does the rest.
	err = first(errors.Join(errs...), err, p.applied(ctx, tallies.Generation()), p.applied(ctx, total.Generation()))
	stop()
	return first(err, <-ended, p.agrees(ctx))
}

// applied waits until a projection is at the head.
func (p Parts) applied(ctx context.Context, of projection.Generation) error {
	return p.comesNear(ctx, of, 0)
}

// comesNear waits until a projection that runs in this process has so many events to go at most.
func (p Parts) comesNear(ctx context.Context, of projection.Generation, lag int64) error {
	var status projection.Status
	err := p.changesUntil(ctx, func() (near bool, err error) {
		status, err = projection.StatusOf(ctx, p.Store, p.Sink, of)
		return len(status.Segments) > 0 && status.Lag() <= lag, err
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s does not catch up: %+v", of, status)
	}
	return err
}

// changesUntil looks after each commit whether it is as it should be, and now and then: of the last
// commit of a process that was killed nobody may have told.
func (p Parts) changesUntil(ctx context.Context, reached func() (bool, error)) error {
	for {
		changed := p.Sink.Changed()
		if done, err := reached(); done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
