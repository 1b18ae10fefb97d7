package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
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

// A row of your own and the events that go with it are there together, or not at all.
func ExampleStore_Transact() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "leftfold")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "shop.db")
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	db, err := sql.Open("sqlite", path) // the same file
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE invoices (id TEXT PRIMARY KEY, pence INTEGER)"); err != nil {
		panic(err)
	}
	invoice := func(id string) error {
		return store.Transact(ctx, db, func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO invoices VALUES (?, 1530)", id); err != nil {
				return err
			}
			_, err := log.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
				Stream: "order-42", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "order.invoiced"}},
			}}})
			return err
		})
	}
	fmt.Println(invoice("2011-1"))
	fmt.Println(invoice("2011-2"))
	var rows int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM invoices").Scan(&rows)
	fmt.Println(rows, err)
	// Output:
	// <nil>
	// version conflict on order-42: expected no stream, it is at version 1
	// 1 <nil>
}

// A transaction that you begin yourself. With _txlock=immediate it has the write lock from the start,
// so that it never has to begin again because another program has written meanwhile.
func ExampleStore_InSQL() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "leftfold")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "shop.db")
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	db, err := sql.Open("sqlite", path+"?_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		panic(err)
	}
	defer db.Close()

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		panic(err)
	}
	receipt, err := store.InSQL(tx).Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-42", Events: []eventstore.EventData{{Type: "order.invoiced"}}},
	}})
	fmt.Println("will be at", receipt.Token.Position, err)
	before, err := store.Head(ctx)
	fmt.Println("head", before.Position, err)
	fmt.Println("commit:", tx.Commit())
	after, err := store.Head(ctx)
	fmt.Println("head", after.Position, err)
	// Output:
	// will be at 1 <nil>
	// head 0 <nil>
	// commit: <nil>
	// head 1 <nil>
}

// A handler writes with SQL, in the transaction that moves its checkpoint: each event is
// counted once, however often the projection runs. Any program reads the table, with the
// driver "sqlite" that this package brings or with another one.
func ExampleSink_Transact() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "leftfold")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "shop.db")
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	_, err = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-42", Events: []eventstore.EventData{{Type: "item.added"}, {Type: "item.added"}, {Type: "order.placed"}}},
	}})
	if err != nil {
		panic(err)
	}

	counts := projection.NewHandler("counts", projection.HandlerOptions{Version: 1},
		func(ctx context.Context, tx *sql.Tx, event eventstore.Recorded) error {
			_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS counts (type TEXT PRIMARY KEY, n INTEGER)`)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1`, event.Type)
			return err
		})
	runner := projection.Runner{Log: store, Tasks: []projection.Task{projection.On(store.Sink(), counts)}}
	fmt.Println(runner.CatchUp(ctx), runner.CatchUp(ctx))

	db, err := sql.Open("sqlite", path)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	var added int
	err = db.QueryRowContext(ctx, `SELECT n FROM counts WHERE type = 'item.added'`).Scan(&added)
	fmt.Println(added, err)
	// Output:
	// <nil> <nil>
	// 2 <nil>
}

// The store keeps the view in the transactions of its appends: the row is there when Append
// returns, and a program that does not keep it cannot append.
func ExampleStore_SwitchInline() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "leftfold")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)

	type Deposited struct{ Cents int64 }
	type Balance struct{ Cents int64 }
	events, err := codec.NewSet(codec.Event[Deposited]("account.deposited"))
	if err != nil {
		panic(err)
	}
	balances := projection.NewView("balances", projection.ViewOptions{Version: 1},
		projection.When(func(b *Balance, e Deposited, _ eventstore.Recorded) { b.Cents += e.Cents }))

	path := filepath.Join(directory, "bank.db")
	store, err := sqlite.Open(ctx, path, sqlite.Options{
		Inline: projection.Inline[*sql.Tx]{Events: events, Views: []projection.InlineView{balances}},
	})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	if err := store.SwitchInline(ctx); err != nil {
		panic(err)
	}

	deposit, err := events.Encode(Deposited{2_000})
	if err != nil {
		panic(err)
	}
	request := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-1", Events: []eventstore.EventData{deposit}}}}
	if _, err := store.Append(ctx, request); err != nil {
		panic(err)
	}
	balance, err := projection.NewReader(store.Sink(), balances).Get(ctx, "1")
	fmt.Println(balance.Cents, err)

	old, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer old.Close(ctx)
	_, err = old.Append(ctx, request)
	fmt.Println(errors.Is(err, projection.ErrInlineMismatch))
	// Output:
	// 2000 <nil>
	// true
}
