package catalog_test

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/catalog"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

type (
	Deposit    struct{ Cents uint32 }
	Deposited  struct{ Cents uint32 }
	GetBalance struct{ ID string }
	Balance    struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
)

// bank is filled with what the program runs with.
func bank() catalog.Catalog {
	accounts := aggregate.Define("account", func(Deposited, *int64) {}, codec.Event[Deposited]("account.deposited"))
	balances := projection.NewView("balances", projection.ViewOptions{Version: 1},
		projection.When(func(b *Balance, e Deposited, _ eventstore.Recorded) { b.Cents += int64(e.Cents) }))
	commands, queries := command.NewBus(), query.NewBus()
	command.Handle(commands, "account.deposit", func(context.Context, Deposit) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	query.Handle(queries, "balance.get", func(context.Context, GetBalance) (Balance, error) { return Balance{}, nil }, query.Reads("balances"))

	return catalog.Catalog{
		Title: "Bank", Version: "1.0",
		Commands: commands.Commands(), Queries: queries.Queries(),
		Aggregates: []catalog.Aggregate{accounts}, Projections: []catalog.Projection{balances},
	}
}

func ExampleCatalog_Mermaid() {
	text, err := bank().Mermaid()
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s", text)
	// Output:
	// eventmodeling
	//
	// rf 001 cmd account_deposit
	// rf 002 evt account_deposited
	// rf 003 rmo balances ->> 002
	// rf 004 ui balance_get ->> 003
}

func ExampleCatalog_JSONSchemas() {
	files, err := bank().JSONSchemas()
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s", files["commands/account.deposit.json"])
	// Output:
	// {
	//   "$schema": "https://json-schema.org/draft/2020-12/schema",
	//   "title": "account.deposit",
	//   "allOf": [
	//     {
	//       "$ref": "#/$defs/Deposit"
	//     }
	//   ],
	//   "$defs": {
	//     "Deposit": {
	//       "type": "object",
	//       "properties": {
	//         "Cents": {
	//           "type": "integer",
	//           "minimum": 0,
	//           "maximum": 4294967295
	//         }
	//       },
	//       "additionalProperties": false
	//     }
	//   }
	// }
}

func ExampleCatalog_AsyncAPI() {
	text, err := bank().AsyncAPI()
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.81s…", text)
	// Output:
	// {
	//   "asyncapi": "3.0.0",
	//   "info": {
	//     "title": "Bank",
	//     "version": "1.0"
	//   …
}
