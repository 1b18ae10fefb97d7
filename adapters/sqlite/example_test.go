package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

func Example() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "leftfold")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)

	store, err := sqlite.Open(ctx, filepath.Join(directory, "shop.db"), sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)

	order := eventstore.NewStreamID("order", "42")
	receipt, err := store.Append(ctx, eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID("place order 42")},
		Writes: []eventstore.Write{{
			Stream:   order,
			Expected: eventstore.NoStream,
			Events: []eventstore.EventData{
				{Type: "order.placed", Data: []byte(`{"customer":"17850"}`)},
				{Type: "order.paid", Data: []byte(`{"pence":1530}`)},
			},
		}},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("on disk up to position", receipt.Token.Position)

	for event, err := range store.ReadStream(ctx, order, eventstore.StreamRange{}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(event.Version, event.Type, string(event.Data))
	}
	// Output:
	// on disk up to position 2
	// 1 order.placed {"customer":"17850"}
	// 2 order.paid {"pence":1530}
}
