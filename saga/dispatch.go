package saga

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// dispatching dispatches what the instances have requested, and tells them what became of it.
func (w Worker) dispatching(s Saga, e engine) *following {
	return &following{
		worker: w, saga: s.Name(), id: subscription.NewWorkerID(w.Name), log: w.Store,
		query: eventstore.Types(requestedType), model: modelOf(s.Name(), "sent"),
		tasks: func(_ eventstore.StoreID, m *eventstore.Recorded) []task {
			if m.Stream.Category() != s.Name() {
				return nil
			}
			requested, err := requestOf(m)
			return []task{{
				key: string(m.Stream), event: m, beside: requested.Beside, err: err,
				do: func(ctx context.Context) error { return w.dispatch(ctx, e, m, requested) },
			}}
		},
	}
}

func requestOf(m *eventstore.Recorded) (requested commandRequested, err error) {
	values, err := records.Decode(*m)
	if err != nil {
		return requested, &poison{err}
	}
	return values[0].(commandRequested), nil
}

// dispatch sends a command whose result is not known yet. A crash before that is recorded sends it
// again under the same id; a request that is settled is not sent, however often it is read.
func (w Worker) dispatch(ctx context.Context, e engine, m *eventstore.Recorded, requested commandRequested) error {
	c, wanted, err := e.request(ctx, m.Stream.ID(), requested)
	if err != nil || !wanted {
		return err
	}
	ctx = eventstore.CausedBy(ctx, *m)
	w.Hooks.Fault(BeforeDispatch)
	err = w.deliver(ctx, c)
	if ctx.Err() != nil {
		return ctx.Err() // we are told to stop; that says nothing of the command
	}
	w.Hooks.Fault(AfterDispatch)
	what := result(requested, err, w.Now())
	return e.tell(ctx, m.Stream.ID(), fmt.Sprintf("result %s/%d", requested.ID, requested.Attempt), what)
}

func (w Worker) deliver(ctx context.Context, c Command) (err error) {
	ctx, cancel := context.WithTimeout(ctx, w.DispatchTimeout)
	defer cancel()
	defer recoverAsPoison(&err) // a panic is a failed attempt: others may go on
	return w.Dispatcher.Dispatch(ctx, c)
}

// command returns what a request asks for.
func (t *Type[S]) command(in *instance[S], requested commandRequested) Command {
	began, _ := eventstore.ParseMetadata(in.metadata) // which need not be in the usual form
	return Command{ID: requested.ID, Name: requested.Name, Payload: requested.Payload, Began: began}
}

// result returns what an instance is told of an attempt.
func result(of commandRequested, err error, now time.Time) record {
	switch now = now.UTC(); {
	case err == nil:
		return commandDone{of.ID, of.Attempt, now}
	case errors.Is(err, ErrRefused):
		return commandRefused{of.ID, of.Attempt, reasonOf(err), now}
	default:
		return commandFailed{of.ID, of.Attempt, reasonOf(err), pauseAfter(err), now}
	}
}
