package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
)

// Two clerks have read the order at version 1. Only one of them can go on from there.
func ExampleExactly() {
	ctx, store := context.Background(), memory.NewStore()
	order := eventstore.NewStreamID("order", "42")
	appendTo := func(expected eventstore.ExpectedVersion, name string) error {
		_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: order, Expected: expected, Events: []eventstore.EventData{{Type: name}}},
		}})
		return err
	}
	fmt.Println(appendTo(eventstore.NoStream, "order.placed"))
	fmt.Println(appendTo(eventstore.Exactly(1), "order.paid"))
	fmt.Println(appendTo(eventstore.Exactly(1), "order.cancelled"))
	// Output:
	// <nil>
	// <nil>
	// version conflict on order-42: expected version 1, it is at version 2
}

// A seat is taken once, although every booking writes a stream of its own: the
// decision read "no event tagged seat:12a", and the append holds only while that is so.
func ExampleCondition() {
	ctx, store := context.Background(), memory.NewStore()
	seat := eventstore.NewTag("seat", "12a")

	read, err := store.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Tagged(seat)})
	if err != nil {
		panic(err)
	}
	for range read.Events() {
		fmt.Println("taken already")
	}
	free := &eventstore.Condition{FailIf: eventstore.Tagged(seat), After: read.Through.Position}

	for _, booking := range []eventstore.StreamID{"booking-1", "booking-2"} {
		_, err := store.Append(ctx, eventstore.AppendRequest{
			Writes: []eventstore.Write{{Stream: booking, Events: []eventstore.EventData{
				{Type: "seat.booked", Tags: []eventstore.Tag{seat}},
			}}},
			Condition: free,
		})
		fmt.Println(booking, err)
	}
	// Output:
	// booking-1 <nil>
	// booking-2 append condition failed: any type tagged seat:12a exists at position 1, after 0
}

// The answer was lost, so the client sends its command again. The events are there once.
func ExampleCommand() {
	ctx, store := context.Background(), memory.NewStore()
	request := eventstore.AppendRequest{
		Command: eventstore.Command{
			ID:   eventstore.NewCommandID("client-7", "command-1"),
			Hash: eventstore.HashCommand("place-order", []byte(`{"order":42}`)),
		},
		Writes: []eventstore.Write{
			{Stream: "order-42", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "order.placed"}}},
		},
	}
	for range 2 {
		receipt, err := store.Append(ctx, request)
		fmt.Println(receipt.Token.Position, receipt.Repeated, err)
	}
	request.Command.Hash = eventstore.HashCommand("place-order", []byte(`{"order":43}`))
	_, err := store.Append(ctx, request)
	fmt.Println(errors.Is(err, eventstore.ErrIdempotencyMismatch))
	// Output:
	// 1 false <nil>
	// 1 true <nil>
	// true
}

// A projection reads window by window. Its checkpoint is the end of the window, which
// moves even where no event matches.
func ExampleLogRead() {
	ctx, store := context.Background(), memory.NewStore()
	for _, name := range []string{"placed", "paid", "shipped", "placed", "returned"} {
		_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: "order-42", Events: []eventstore.EventData{{Type: name}}},
		}})
		if err != nil {
			panic(err)
		}
	}
	var checkpoint eventstore.Anchor
	for {
		read, err := store.ReadLog(ctx, eventstore.LogQuery{
			Query:   eventstore.Types("placed"),
			After:   checkpoint.Position,
			Through: checkpoint.Position + 2,
		})
		if err != nil {
			panic(err)
		}
		if read.After != checkpoint {
			panic("the log was rolled back under the checkpoint")
		}
		for event, err := range read.Events() {
			if err != nil {
				panic(err)
			}
			fmt.Println("position", event.Position, event.Type)
		}
		checkpoint = read.Through
		fmt.Println("checkpoint", checkpoint.Position)
		if checkpoint.Position == read.Head {
			break
		}
	}
	// Output:
	// position 1 placed
	// checkpoint 2
	// position 4 placed
	// checkpoint 4
	// checkpoint 5
}

// The newest event of a stream first, and no more than that.
func ExampleStreamRange() {
	ctx, store := context.Background(), memory.NewStore()
	_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-42", Events: []eventstore.EventData{{Type: "placed"}, {Type: "paid"}, {Type: "shipped"}}},
	}})
	if err != nil {
		panic(err)
	}
	for event, err := range store.ReadStream(ctx, "order-42", eventstore.StreamRange{Backwards: true, Limit: 1}) {
		fmt.Println(event.Version, event.Type, err)
	}
	// Output: 3 shipped <nil>
}

// Tagged asks for all of its tags; Or joins queries of which one is enough.
func ExampleQuery_Or() {
	both := eventstore.Tagged("course:go", "student:ada")
	either := eventstore.Tagged("course:go").Or(eventstore.Tagged("student:ada"))

	enrolled := eventstore.EventData{Type: "student.enrolled", Tags: []eventstore.Tag{"course:go", "student:bob"}}
	fmt.Println(both.Matches(enrolled), either.Matches(enrolled))
	// Output: false true
}

func ExampleParseToken() {
	token, err := eventstore.ParseToken("0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f.1.42")
	fmt.Println(token.Position, token.Incarnation, err)
	// Output: 42 1 <nil>
}

// A store forgets the ids of commands that are older than 90 days. It is an operator's decision:
// what is sent again after so long is a new command.
func ExampleCommandPruner() {
	ctx := context.Background()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store := memory.NewStoreWith(memory.StoreOptions{Now: func() time.Time { return now }})
	place := func(id string) {
		receipt, err := store.Append(ctx, eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.NewCommandID(id)},
			Writes:  []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed"}}}},
		})
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: position %d, repeated %t\n", id, receipt.Token.Position, receipt.Repeated)
	}
	place("in January")
	now = now.AddDate(0, 5, 0)
	place("in June")

	var pruner eventstore.CommandPruner = store
	pruned, err := pruner.PruneCommands(ctx, now.AddDate(0, 0, -90))
	if err != nil {
		panic(err)
	}
	fmt.Println("forgotten:", pruned)
	place("in January")
	place("in June")
	// Output:
	// in January: position 1, repeated false
	// in June: position 2, repeated false
	// forgotten: 1
	// in January: position 3, repeated false
	// in June: position 2, repeated true
}
