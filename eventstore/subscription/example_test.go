package subscription_test

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// ledger is a target: what it keeps and its checkpoint change in one step. Here they
// are fields; in a database they are rows of one transaction.
type ledger struct {
	checkpoint subscription.Checkpoint
	lines      []string
}

func (l *ledger) Checkpoint(context.Context, eventstore.StoreID) (subscription.Checkpoint, error) {
	return l.checkpoint, nil
}

func (l *ledger) Apply(_ context.Context, window subscription.Window) error {
	if window.From != l.checkpoint {
		return subscription.ErrStale // somebody else was first
	}
	for _, event := range window.Events {
		l.lines = append(l.lines, fmt.Sprintf("%d %s", event.Position, event.Type))
	}
	l.checkpoint = window.To
	return nil
}

func ExampleSubscription() {
	ctx, store, target := context.Background(), memory.NewStore(), &ledger{}
	for _, name := range []string{"paid", "mailed", "paid"} {
		_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: "account-ada", Events: []eventstore.EventData{{Type: name}}},
		}})
		if err != nil {
			fmt.Println(err)
		}
	}
	payments := subscription.New("payments", store, eventstore.Types("paid"), target, subscription.Options{})
	fmt.Println(payments.CatchUp(ctx), payments.CatchUp(ctx)) // the second finds nothing new
	fmt.Println(target.lines, "checkpoint at", target.checkpoint.Position())
	// Output:
	// <nil> <nil>
	// [1 paid 3 paid] checkpoint at 3
}
