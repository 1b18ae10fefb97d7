package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// worker keeps a view in two segments.
func (p Parts) worker(view *projection.View[tally]) projection.Worker {
	return projection.Worker{Log: p.Store, Events: tallyEvents, Tasks: []projection.Task{projection.Into(p.Sink, view)}, Segments: 2, TTL: time.Second}
}

// soonKnown is how soon everybody may know of a failure.
const soonKnown = 5 * time.Second

func (p Parts) parks(ctx context.Context) error {
	view := fragile(false)
	return whileWorking(ctx, p.worker(view), func(ctx context.Context) error {
		before, err := p.append(ctx, "bad", counted{1})
		if err := first(err, p.events(ctx, view, map[string]int64{"bad": 1})); err != nil {
			return err
		}
		failing, err := p.append(ctx, "bad", poison{}, counted{1})
		if err := first(err, p.knownSoon(ctx, view)); err != nil {
			return err
		}
		after, err := p.append(ctx, "good", counted{1})
		if err := first(err, p.events(ctx, view, map[string]int64{"bad": 1, "good": 1})); err != nil {
			return err
		}
		reader := projection.NewReader(p.Sink, view)
		for _, c := range []struct {
			of     eventstore.Receipt
			key    string
			parked bool
		}{{before, "bad", false}, {failing, "bad", true}, {after, "bad", true}, {failing, "good", false}, {after, "good", false}, {before, "", false}, {after, "", true}} {
			if err := answers(ctx, reader, c.of, c.key, c.parked); err != nil {
				return err
			}
		}
		retry := projection.Retry(ctx, p.Store, tallyEvents, projection.Into(p.Sink, fragile(true)), "bad")
		return first(retry, answers(ctx, reader, after, "bad", false), p.events(ctx, view, map[string]int64{"bad": 2, "good": 1}))
	})
}

// knownSoon checks that the status says what is parked, and why, before long.
func (p Parts) knownSoon(ctx context.Context, view *projection.View[tally]) error {
	ctx, cancel := context.WithTimeout(ctx, soonKnown)
	defer cancel()
	for {
		status, err := projection.StatusOf(ctx, p.Store, p.Sink, view.Generation())
		if err != nil {
			return fmt.Errorf("the status does not say what is parked: %w", err)
		}
		if len(status.Parked) > 0 {
			return first(same("key", status.Parked[0].Key, "bad"), same("position", status.Parked[0].Event.Position, eventstore.Position(2)))
		}
		time.Sleep(5 * time.Millisecond) // somebody looks at the status now and then
	}
}

// events waits until the log is applied and checks how many events rows have.
func (p Parts) events(ctx context.Context, view *projection.View[tally], want map[string]int64) error {
	if _, err := applied(ctx, p.Store, p.Sink, view.Generation()); err != nil {
		return err
	}
	for key, events := range want {
		row, err := projection.NewReader(p.Sink, view).Get(ctx, key)
		if err := first(err, same("events of "+key, row.Events, events)); err != nil {
			return err
		}
	}
	return nil
}

// answers asks for a row, or for all if key is empty, as of a receipt, and checks whether the
// answer is that "bad" is parked.
func answers(ctx context.Context, reader *projection.Reader[tally], of eventstore.Receipt, key string, want bool) error {
	bus := query.NewBus()
	query.Handle(bus, "ask", func(ctx context.Context, key string) (int, error) {
		if key == "" {
			page, err := reader.List(ctx, projection.ListQuery{})
			return len(page.Rows), err
		}
		rows, err := reader.GetMany(ctx, key)
		return len(rows), err
	}, query.Reads("fragile"))
	_, err := query.Ask[int](ctx, bus, key, query.After(of.Token))
	parked, isParked := errors.AsType[*projection.ParkedError](err)
	if isParked != want || err != nil && !isParked {
		return fmt.Errorf("the answer for %q as of position %d: parked %v, want %v (%w)", key, of.Token.Position, isParked, want, err)
	}
	if isParked {
		return same("parked", parked.Keys[0].Key, "bad")
	}
	return nil
}
