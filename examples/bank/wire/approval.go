package wire

import (
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// What happens to the question whether a branch takes a wire. The branch keeps it in its own store,
// and nobody answers it before it was asked: so the saga hears every answer.
type (
	Asked    struct{ Order }
	Approved struct{}
	Declined struct{}
)

// Approval is such a question.
type Approval struct{ Asked, Answered bool }

type approvalEvent interface{ apply(*Approval) }

func (Asked) apply(a *Approval)    { a.Asked = true }
func (Approved) apply(a *Approval) { a.Answered = true }
func (Declined) apply(a *Approval) { a.Answered = true }

// Approvals are the streams "approval-<id of the wire>".
var Approvals = aggregate.Define("approval", approvalEvent.apply,
	codec.Event[Asked]("wire.asked"), codec.Event[Approved]("wire.approved"), codec.Event[Declined]("wire.declined"))

func ask(o Order) aggregate.Decision[Approval, approvalEvent] {
	return func(a Approval) ([]approvalEvent, error) {
		if a.Asked {
			return nil, nil
		}
		return []approvalEvent{Asked{o}}, nil
	}
}

func answer(yes bool) aggregate.Decision[Approval, approvalEvent] {
	return func(a Approval) ([]approvalEvent, error) {
		switch {
		case !a.Asked || a.Answered:
			return nil, nil // the first answer counts
		case yes:
			return []approvalEvent{Approved{}}, nil
		default:
			return []approvalEvent{Declined{}}, nil
		}
	}
}

// clerkLimit is the most cents that the clerk approves without people.
const clerkLimit = 100_00

// Clerk is the other kind of saga, a choreography: it says yes to small wires. The others wait for
// people.
var Clerk = saga.React("clerk", saga.ReactOptions{Events: []*codec.Set{Approvals.Events()}},
	func(_ context.Context, e Asked, m eventstore.Recorded) ([]saga.Request, error) {
		if e.Cents > clerkLimit {
			return nil, nil
		}
		return []saga.Request{{Name: "approval.answer", Payload: Answer{e.To.Branch, m.Stream.ID(), true}}}, nil
	})
