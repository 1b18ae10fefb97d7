package memory_test

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
)

func ExampleNewStore() {
	ctx, store := context.Background(), memory.NewStore()

	receipt, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream:   "account-17850",
		Expected: eventstore.NoStream,
		Events: []eventstore.EventData{
			{Type: "account.opened", Data: []byte(`{}`)},
			{Type: "account.deposited", Data: []byte(`{"pence":1250}`)},
		},
	}}})
	if err != nil {
		panic(err)
	}
	fmt.Println("at version", receipt.Versions["account-17850"])

	for event, err := range store.ReadStream(ctx, "account-17850", eventstore.StreamRange{}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(event.Version, event.Type, string(event.Data))
	}
	// Output:
	// at version 2
	// 1 account.opened {}
	// 2 account.deposited {"pence":1250}
}
