package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Parts are a store and a sink that the suite runs projections between.
type Parts struct {
	Store eventstore.Store
	Sink  projection.Sink
}

// RunEffects checks, for the stores and sinks that open returns, that every event
// takes effect exactly once on a view and in order, whatever goes wrong on the way.
// The read model it uses counts: repeats and losses would show.
func RunEffects(t *testing.T, open func(t testing.TB) Parts) {
	run(t, effectClauses, open)
}

type counted struct {
	Amount int64
}

type uncounted struct{}

type cleared struct{}

type poison struct{}

// tally counts what happened to one stream. Disorder counts events that came after a
// later one.
type tally struct {
	ID       string `leftfold:"key"`
	Events   int64
	Sum      int64
	Last     int64
	Disorder int64
}

var tallyEvents = func() *codec.Set {
	set, err := codec.NewSet(codec.Event[counted]("test.counted"), codec.Event[uncounted]("test.uncounted"), codec.Event[cleared]("test.cleared"), codec.Event[poison]("test.poison"))
	if err != nil {
		panic(err)
	}
	return set
}()

var (
	tallies = projection.NewView("tallies", projection.ViewOptions{Version: 1, Indexes: []string{"sum"}},
		projection.When(count),
		projection.When(func(row *tally, _ cleared, _ eventstore.Recorded) { *row = tally{ID: row.ID} }))

	// total has every event hit one row, whatever its stream.
	total = projection.NewView("total", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(counted, eventstore.Recorded) string { return "all" }, count))
)

// fragile cannot bear poison until it is mended, and says so in words that not every database takes.
func fragile(mended bool) *projection.View[tally] {
	return projection.NewView("fragile", projection.ViewOptions{Version: 1, Indexes: []string{"sum"}},
		projection.When(count),
		projection.When(func(row *tally, _ poison, _ eventstore.Recorded) {
			if !mended {
				panic("it is \x00 \xff poison")
			}
			row.Sum += 100
		}))
}

func count(row *tally, e counted, m eventstore.Recorded) {
	row.Events++
	row.Sum += e.Amount
	if int64(m.Position) <= row.Last {
		row.Disorder++
	}
	row.Last = int64(m.Position)
}

func (p Parts) runner() projection.Runner {
	return projection.Runner{
		Log: p.Store, Events: tallyEvents, Window: 17,
		Tasks: []projection.Task{projection.Into(p.Sink, tallies), projection.Into(p.Sink, total)},
	}
}

// append writes events to one stream and returns the receipt.
func (p Parts) append(ctx context.Context, stream string, events ...any) (eventstore.Receipt, error) {
	write := eventstore.Write{Stream: eventstore.NewStreamID("tally", stream)}
	for _, event := range events {
		data, err := tallyEvents.Encode(event)
		if err != nil {
			return eventstore.Receipt{}, err
		}
		write.Events = append(write.Events, data)
	}
	return p.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{write}})
}

// fill appends n events to several streams, with others in between. Most streams are
// in every window and some in one only: a rewound checkpoint repeats those.
func (p Parts) fill(ctx context.Context, n int) error {
	for i := range n {
		stream := string(rune('a' + i%5))
		if i%7 == 6 {
			stream = fmt.Sprintf("rare-%d", i)
		}
		if _, err := p.append(ctx, stream, counted{int64(i)}, uncounted{}); err != nil {
			return err
		}
	}
	return nil
}

// agrees compares the rows with a fold of the log that shares no code with them.
func (p Parts) agrees(ctx context.Context) error {
	want := map[string]tally{}
	read, err := p.Store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return err
	}
	for m, err := range read.Events() {
		if err != nil {
			return err
		}
		if m.Type == "test.counted" {
			var amount int64
			if _, err := fmt.Sscanf(string(m.Data), `{"Amount":%d}`, &amount); err != nil {
				return err
			}
			for _, key := range []string{strings.TrimPrefix(string(m.Stream), "tally-"), "all"} {
				row := want[key]
				want[key] = tally{ID: key, Events: row.Events + 1, Sum: row.Sum + amount, Last: int64(m.Position)}
			}
		}
	}
	all, err := projection.NewReader(p.Sink, total).Get(ctx, "all")
	if err := first(err, same("row of every event", all, want["all"])); err != nil {
		return err
	}
	delete(want, "all")
	got := map[string]tally{}
	for row, err := range projection.NewReader(p.Sink, tallies).All(ctx, projection.ListQuery{By: "sum", Limit: 2}) {
		if err != nil {
			return err
		}
		got[row.ID] = row
	}
	for key := range want {
		if err := same("row "+key, got[key], want[key]); err != nil {
			return err
		}
	}
	return same("rows", len(got), len(want))
}

var effectClauses = []clause[Parts]{
	{"after a catch-up the rows are the fold of the log", func(ctx context.Context, p Parts) error {
		return first(p.fill(ctx, 60), p.runner().CatchUp(ctx), p.agrees(ctx), p.fill(ctx, 20), p.runner().CatchUp(ctx), p.agrees(ctx))
	}},
	{"the checkpoint reaches the head though the last events match nothing", func(ctx context.Context, p Parts) error {
		receipt, err := p.append(ctx, "a", counted{1}, uncounted{}, uncounted{})
		if err := first(err, p.runner().CatchUp(ctx)); err != nil {
			return err
		}
		at, err := p.Sink.Checkpoint(ctx, tallies.Generation(), receipt.Token.Store)
		return first(err, same("checkpoint", at.Token(), receipt.Token))
	}},
	{"an answer after a token includes the append, while the projection runs", func(ctx context.Context, p Parts) error {
		return p.whileRunning(ctx, func(ctx context.Context) error {
			bus := query.NewBus()
			reader := projection.NewReader(p.Sink, tallies)
			query.Handle(bus, "tally", func(ctx context.Context, id string) (tally, error) { return reader.Get(ctx, id) }, query.Reads("tallies"))
			for n := range 50 {
				receipt, err := p.append(ctx, "a", counted{1})
				if err != nil {
					return err
				}
				row, err := query.Ask[tally](ctx, bus, "a", query.After(receipt.Token))
				if err := first(err, same("events seen", row.Events, int64(n+1))); err != nil {
					return err
				}
			}
			return nil
		})
	}},
	{"a row that was reset starts anew and keeps its key", func(ctx context.Context, p Parts) error {
		if _, err := p.append(ctx, "a", counted{5}, cleared{}, counted{7}); err != nil {
			return err
		}
		if err := p.runner().CatchUp(ctx); err != nil {
			return err
		}
		row, err := projection.NewReader(p.Sink, tallies).Get(ctx, "a")
		return first(err, same("row", row, tally{ID: "a", Events: 1, Sum: 7, Last: 3}))
	}},
	{"an event that does not decode stops the projection there, and is named", func(ctx context.Context, p Parts) error {
		broken := eventstore.Write{Stream: "tally-a", Events: []eventstore.EventData{{Type: "test.counted", Data: []byte("{")}}}
		_, err := p.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{broken}})
		if err != nil {
			return err
		}
		var failed *projection.EventError
		if err := p.runner().CatchUp(ctx); !errors.As(err, &failed) {
			return fmt.Errorf("got error %v, want one that names the event", err)
		}
		_, err = projection.NewReader(p.Sink, tallies).Get(ctx, "a")
		return first(same("position", failed.Event.Position, eventstore.Position(1)), is("row", err, projection.ErrNotFound))
	}},
	{"there is no row with a key that is no text, whoever asks", func(ctx context.Context, p Parts) error {
		if err := first(p.fill(ctx, 10), p.runner().CatchUp(ctx)); err != nil {
			return err
		}
		for _, key := range []string{"a\x00", "\xff"} {
			if _, err := projection.NewReader(p.Sink, tallies).Get(ctx, key); !errors.Is(err, projection.ErrNotFound) {
				return fmt.Errorf("get %q: got error %v, want %q", key, err, projection.ErrNotFound)
			}
		}
		return nil
	}},
	{"a key that cannot be made is parked while the others go on, and is retried or skipped", func(ctx context.Context, p Parts) error {
		for _, stream := range []string{"a", "b"} {
			if _, err := p.append(ctx, stream, counted{1}, poison{}, counted{2}); err != nil {
				return err
			}
		}
		return whileWorking(ctx, p.worker(fragile(false)), func(ctx context.Context) error {
			rows := func(want ...tally) error {
				page, err := projection.NewReader(p.Sink, fragile(false)).List(ctx, projection.ListQuery{})
				return first(err, same("rows", page.Rows, want))
			}
			add := func(stream string) error {
				_, err := p.append(ctx, stream, counted{5})
				_, failed := applied(ctx, p.Store, p.Sink, fragile(false).Generation())
				return first(err, failed)
			}
			before := tally{ID: "a", Events: 1, Sum: 1, Last: 1}
			b := tally{ID: "b", Events: 1, Sum: 1, Last: 4}
			c := tally{ID: "c", Events: 1, Sum: 5, Last: 7}
			if err := first(add("c"), rows(before, b, c)); err != nil {
				return err
			}
			status, err := projection.StatusOf(ctx, p.Store, p.Sink, fragile(false).Generation())
			if err := first(err, same("parked keys", len(status.Parked), 2)); err != nil {
				return err
			}
			if err := projection.Retry(ctx, p.Store, tallyEvents, projection.Into(p.Sink, fragile(false)), "a"); err == nil {
				return errors.New("a retry that fails did not say so")
			}
			return first(
				projection.Retry(ctx, p.Store, tallyEvents, projection.Into(p.Sink, fragile(true)), "a"),
				projection.Skip(ctx, p.Store, tallyEvents, projection.Into(p.Sink, fragile(true)), "b"),
				rows(tally{ID: "a", Events: 2, Sum: 103, Last: 3}, b, c),
				add("a"), add("b"),
				rows(tally{ID: "a", Events: 3, Sum: 108, Last: 8}, tally{ID: "b", Events: 2, Sum: 6, Last: 9}, c),
			)
		})
	}},
	{"a reader with a token is told of a key that is parked, the status says why within seconds, and a retry ends both", func(ctx context.Context, p Parts) error { return p.parks(ctx) }},
	{"an old event is folded as the events that it stands for, in order and once, or as none", func(ctx context.Context, p Parts) error { return p.upcasts(ctx) }},
	{"a key is parked before an event that stands for several, without any of them, and a retry applies them all", func(ctx context.Context, p Parts) error { return p.parksTheWhole(ctx) }},
	{"lost answers of the sink neither lose nor repeat an event", func(ctx context.Context, p Parts) error {
		faulty := &lostAnswers{Sink: p.Sink}
		return first(p.fill(ctx, 150), Parts{p.Store, faulty}.runUntilDone(ctx), p.agrees(ctx), faulty.happened())
	}},
	{"rival runners that stop at any moment neither lose nor repeat an event", func(ctx context.Context, p Parts) error {
		return first(p.rivals(ctx, 3, 300), p.agrees(ctx))
	}},
}

// whileRunning runs the projections during do.
func (p Parts) whileRunning(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.runner().Run(ctx); stop() }()
	err := do(ctx)
	stop()
	return first(err, <-ended)
}

// whileWorking runs the worker during do.
func whileWorking(ctx context.Context, w projection.Worker, do func(ctx context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx); stop() }()
	err := do(ctx)
	stop()
	return first(<-ended, err)
}

// applied waits until all segments of a generation have applied the log.
func applied(ctx context.Context, log eventstore.LogReader, sink projection.Checkpoints, of projection.Generation) (projection.Status, error) {
	for {
		status, err := projection.StatusOf(ctx, log, sink, of)
		if err != nil || len(status.Segments) > 0 && status.Lag() == 0 {
			return status, err
		}
		select {
		case <-ctx.Done():
			return status, fmt.Errorf("the log is not applied: %+v", status)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// runUntilDone catches up, however often the runner gives up.
func (p Parts) runUntilDone(ctx context.Context) error {
	for {
		if err := p.runner().CatchUp(ctx); !errors.Is(err, errLost) {
			return err
		}
	}
}

// rivals runs several runners over the same views while events are appended. Each
// stops after a short random while, in the middle of whatever it does, and is replaced.
// Now and then one is overtaken between its look at the rows and its commit.
func (p Parts) rivals(ctx context.Context, runners, events int) error {
	var filled atomic.Bool
	slow := &overtaken{Sink: p.Sink, parts: p}
	errs := make([]error, runners)
	var running sync.WaitGroup
	for n := range runners {
		running.Go(func() {
			for !filled.Load() && errs[n] == nil {
				short, stop := context.WithTimeout(ctx, rand.N(3*time.Millisecond))
				errs[n] = Parts{p.Store, slow}.runner().Run(short)
				stop()
			}
		})
	}
	err := p.fill(ctx, events)
	filled.Store(true)
	running.Wait()
	// The rest is left to a slow runner, so that it is overtaken by many windows.
	return first(err, errors.Join(errs...), p.fill(ctx, events/2), Parts{p.Store, slow}.runner().CatchUp(ctx), slow.happened())
}

// overtaken is a sink to which a rival runner has always been first.
type overtaken struct {
	projection.Sink
	parts          Parts
	commits, times atomic.Int64
}

func (o *overtaken) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if o.commits.Add(1)%3 == 1 {
		rival := o.parts.runner()
		rival.Tasks = rival.Tasks[:1]
		if model.Name == total.Name() {
			rival.Tasks = []projection.Task{projection.Into(o.parts.Sink, total)}
		}
		if err := rival.CatchUp(ctx); err != nil {
			return err
		}
		o.times.Add(1)
	}
	return o.Sink.Commit(ctx, model, move, changes)
}

func (o *overtaken) happened() error {
	if o.times.Load() == 0 {
		return errors.New("not tested: nobody was overtaken")
	}
	return nil
}

// lostAnswers is a sink that commits and then says that it does not know.
type lostAnswers struct {
	projection.Sink
	lost atomic.Int64
}

var errLost = errors.New("the answer was lost")

func (l *lostAnswers) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if rand.N(3) == 0 {
		l.lost.Add(1)
		_ = l.Sink.Commit(ctx, model, move, changes)
		return errLost
	}
	return l.Sink.Commit(ctx, model, move, changes)
}

// happened reports a run in which the fault did not occur: it would prove nothing.
func (l *lostAnswers) happened() error {
	if l.lost.Load() == 0 {
		return errors.New("not tested: no answer was lost")
	}
	return nil
}
