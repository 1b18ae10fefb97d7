package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// noted is an event that was a part of another one once.
type (
	scored   struct{ N int64 }
	noted    struct{ To string }
	scoredV1 struct {
		Ns []int64
		To string
	}
)

func scores(old scoredV1) ([]any, error) {
	var events []any
	for _, n := range old.Ns {
		events = append(events, scored{n})
	}
	if old.To != "" {
		events = append(events, noted{old.To})
	}
	return events, nil
}

// pastEvents have a past: version 1 of test.scored stands for any number of events, and so does
// test.score, which is not written any more.
var pastEvents = func() *codec.Set {
	set, err := codec.NewSet(
		codec.Event[noted]("test.noted"),
		codec.Event[scored]("test.scored", codec.Version(2), codec.UpcastEach(1, scores)),
		codec.Retired("test.score", codec.UpcastEach(1, scores)),
		codec.Retired("test.seen", codec.Drop(1)))
	if err != nil {
		panic(err)
	}
	return set
}()

// ledger writes down what happened to a row, in order.
type ledger struct {
	ID    string `leftfold:"key"`
	Story string
	Last  int64
}

func (l *ledger) tell(m eventstore.Recorded, what any) {
	l.Story = strings.TrimSpace(fmt.Sprint(l.Story, " ", what))
	l.Last = int64(m.Position)
}

// ledgers has a row for each stream, and one for whatever is noted. Until it is mended it cannot
// bear a score of 13.
func ledgers(version int, mended bool) *projection.View[ledger] {
	return projection.NewView("ledgers", projection.ViewOptions{Version: version},
		projection.When(func(row *ledger, e scored, m eventstore.Recorded) {
			if e.N == 13 && !mended {
				panic("it is unlucky")
			}
			row.tell(m, e.N)
		}),
		projection.WhenKeyed(func(e noted, _ eventstore.Recorded) string { return e.To }, func(row *ledger, _ noted, m eventstore.Recorded) {
			row.tell(m, "noted")
		}))
}

// past is the log: old events, among new ones.
func (p Parts) past(ctx context.Context, events ...pastEvent) error {
	for _, e := range events {
		data := eventstore.EventData{Type: e.name, SchemaVersion: e.version, Data: []byte(e.payload)}
		write := eventstore.Write{Stream: eventstore.NewStreamID("past", e.stream), Events: []eventstore.EventData{data}}
		if _, err := p.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{write}}); err != nil {
			return err
		}
	}
	return nil
}

type pastEvent struct {
	stream, name string
	version      int
	payload      string
}

var (
	thePast = []pastEvent{
		{"a", "test.scored", 1, `{"Ns":[1,2,3],"To":"x"}`},
		{"a", "test.seen", 1, `nobody looks at it`},
		{"b", "test.scored", 1, `{}`},
		{"a", "test.scored", 2, `{"N":4}`},
		{"b", "test.score", 1, `{"Ns":[5],"To":"y"}`},
		{"b", "test.scored", 1, `{"Ns":[6,7],"To":"x"}`},
		{"a", "test.noted", 1, `{"To":"y"}`},
		{"c", "test.seen", 1, ``},
	}
	itsLedgers = []ledger{{"a", "1 2 3 4", 4}, {"b", "5 6 7", 6}, {"x", "noted noted", 6}, {"y", "noted noted", 7}}
)

func (p Parts) ledgersAre(ctx context.Context, view *projection.View[ledger], want ...ledger) error {
	page, err := projection.NewReader(p.Sink, view).List(ctx, projection.ListQuery{})
	return first(err, same("rows", page.Rows, want))
}

// upcasts projects the past in windows of two sizes by runners whose answers are lost. The second
// generation is built beside the first, verified, and takes its place.
func (p Parts) upcasts(ctx context.Context) error {
	if err := p.past(ctx, thePast...); err != nil {
		return err
	}
	faulty := &lostAnswers{Sink: p.Sink}
	for version, window := range []int{1, 3} {
		view := ledgers(version+1, true)
		runner := projection.Runner{Log: p.Store, Events: pastEvents, Window: window, Tasks: []projection.Task{projection.Into(faulty, view)}}
		for err := errLost; err != nil; {
			if err = runner.CatchUp(ctx); err != nil && !errors.Is(err, errLost) {
				return err
			}
		}
		if err := p.ledgersAre(ctx, view, itsLedgers...); err != nil {
			return fmt.Errorf("in windows of %d: %w", window, err)
		}
	}
	report, err := projection.Audit(ctx, p.Store, pastEvents, p.Sink, ledgers(2, true), projection.AuditOptions{})
	return first(err, same("keys looked at", report.Keys, []string{"a", "b", "x", "y"}), same("differences", len(report.Differences), 0))
}

// parksTheWhole parks a key at the second of the three events that a stored one stands for.
func (p Parts) parksTheWhole(ctx context.Context) error {
	worker := projection.Worker{
		Log: p.Store, Events: pastEvents, Tasks: []projection.Task{projection.Into(p.Sink, ledgers(1, false))}, Segments: 2, TTL: time.Second,
	}
	return whileWorking(ctx, worker, func(ctx context.Context) error {
		if err := p.past(ctx,
			pastEvent{"bad", "test.scored", 2, `{"N":9}`},
			pastEvent{"bad", "test.scored", 1, `{"Ns":[1,13,2],"To":"x"}`},
			pastEvent{"bad", "test.scored", 2, `{"N":3}`},
			pastEvent{"good", "test.score", 1, `{"Ns":[4,5]}`},
		); err != nil {
			return err
		}
		status, err := applied(ctx, p.Store, p.Sink, ledgers(1, false).Generation())
		if err := first(err, same("parked keys", len(status.Parked), 1)); err != nil {
			return err
		}
		parked := status.Parked[0]
		good, x := ledger{"good", "4 5", 4}, ledger{"x", "noted", 2}
		return first(
			same("parked", fmt.Sprint(parked.Key, " ", parked.Type, " ", parked.Event.Position), "bad test.scored 2"),
			p.ledgersAre(ctx, ledgers(1, false), ledger{"bad", "9", 1}, good, x),
			projection.Retry(ctx, p.Store, pastEvents, projection.Into(p.Sink, ledgers(1, true)), "bad"),
			p.ledgersAre(ctx, ledgers(1, true), ledger{"bad", "9 1 13 2 3", 3}, good, x),
		)
	})
}
