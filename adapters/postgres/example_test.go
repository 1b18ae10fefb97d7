package postgres_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, databaseURL())
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{}); err != nil { // when you deploy
		panic(err)
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
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
	fmt.Println("committed up to position", receipt.Token.Position)

	for event, err := range store.ReadStream(ctx, order, eventstore.StreamRange{}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(event.Version, event.Type, string(event.Data))
	}
	// Output:
	// committed up to position 2
	// 1 order.placed {"customer":"17850"}
	// 2 order.paid {"pence":1530}
}

// A row of your own and the events that go with it are there together, or not at all.
func ExampleStore_Transact() {
	ctx := context.Background()
	pool, store := exampleStore(ctx, postgres.DefaultSchema)
	defer pool.Close()
	defer store.Close(ctx)
	if _, err := pool.Exec(ctx, "CREATE TABLE invoices (id text PRIMARY KEY, pence integer)"); err != nil {
		panic(err)
	}
	invoice := func(id string) error {
		return store.Transact(ctx, pool, func(ctx context.Context, tx pgx.Tx, log eventstore.Store) error {
			if _, err := tx.Exec(ctx, "INSERT INTO invoices VALUES ($1, 1530)", id); err != nil {
				return err
			}
			_, err := log.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{ // last: it takes the lock of the store
				Stream: "order-42", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "order.invoiced"}},
			}}})
			return err
		})
	}
	fmt.Println(invoice("2011-1"))
	fmt.Println(invoice("2011-2"))

	var rows int
	err := pool.QueryRow(ctx, "SELECT count(*) FROM invoices").Scan(&rows)
	fmt.Println(rows, err)
	// Output:
	// <nil>
	// version conflict on order-42: expected no stream, it is at version 1
	// 1 <nil>
}

// Read models beside the log: a view is a table that any SQL tool reads, kept up to date while
// the program runs. The receipt's token makes an answer include one's own write.
func ExampleStore_Sink() {
	ctx, stop := context.WithCancel(context.Background())
	pool, store := exampleStore(ctx, postgres.DefaultSchema)
	defer pool.Close()
	defer store.Close(context.Background())

	type Paid struct{ Pence int64 }
	type Account struct {
		ID    string `leftfold:"key"`
		Pence int64
	}
	events, err := codec.NewSet(codec.Event[Paid]("account.paid"))
	if err != nil {
		panic(err)
	}
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1, Indexes: []string{"pence"}},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Pence += e.Pence }))
	runner := projection.Runner{Log: store, Events: events, Tasks: []projection.Task{projection.Into(store.Sink(), accounts)}}
	if err := runner.CatchUp(ctx); err != nil { // makes the table
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- runner.Run(ctx) }()

	queries, reader := query.NewBus(), projection.NewReader(store.Sink(), accounts)
	query.Handle(queries, "account", func(ctx context.Context, id string) (Account, error) { return reader.Get(ctx, id) }, query.Reads("accounts"))
	for _, pence := range []int64{300, 200} {
		paid, _ := events.Encode(Paid{pence})
		receipt, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-ada", Events: []eventstore.EventData{paid}}}})
		if err != nil {
			panic(err)
		}
		account, err := query.Ask[Account](ctx, queries, "ada", query.After(receipt.Token))
		fmt.Println(account, err)
	}
	stop()
	fmt.Println(<-ended)

	var id string
	err = pool.QueryRow(context.Background(), "SELECT key FROM leftfold.view_accounts_1 WHERE pence > 400").Scan(&id)
	fmt.Println(id, err)
	// Output:
	// {ada 300} <nil>
	// {ada 500} <nil>
	// <nil>
	// ada <nil>
}

// A handler writes with SQL, in the transaction that moves its checkpoint: each event is
// counted once, however often the projection runs.
func ExampleSink_Transact() {
	ctx := context.Background()
	pool, store := exampleStore(ctx, postgres.DefaultSchema)
	defer pool.Close()
	defer store.Close(ctx)
	_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-42", Events: []eventstore.EventData{{Type: "item.added"}, {Type: "item.added"}, {Type: "order.placed"}}},
	}})
	if err != nil {
		panic(err)
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE counts (type text PRIMARY KEY, n integer)"); err != nil {
		panic(err)
	}
	counts := projection.NewHandler("counts", projection.HandlerOptions{Version: 1},
		func(ctx context.Context, tx pgx.Tx, event eventstore.Recorded) error {
			_, err := tx.Exec(ctx, "INSERT INTO counts AS c VALUES ($1, 1) ON CONFLICT (type) DO UPDATE SET n = c.n + 1", event.Type)
			return err
		})
	runner := projection.Runner{Log: store, Tasks: []projection.Task{projection.On(store.Sink(), counts)}}
	fmt.Println(runner.CatchUp(ctx), runner.CatchUp(ctx))

	var added int
	err = pool.QueryRow(ctx, "SELECT n FROM counts WHERE type = 'item.added'").Scan(&added)
	fmt.Println(added, err)
	// Output:
	// <nil> <nil>
	// 2 <nil>
}

// The same by database/sql, for programs that use pgx by its package stdlib. The connection is the
// one that the transaction was begun on; [postgres.Store.TransactSQL] does both.
func ExampleStore_InSQL() {
	ctx := context.Background()
	pool, store := exampleStore(ctx, postgres.DefaultSchema)
	defer pool.Close()
	defer store.Close(ctx)
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE invoices (id text PRIMARY KEY, pence integer)"); err != nil {
		panic(err)
	}
	invoice := func(id string) error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "INSERT INTO invoices VALUES ($1, 1530)", id); err != nil {
			return err
		}
		_, err = store.InSQL(conn).Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: "order-42", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "order.invoiced"}},
		}}})
		if err != nil {
			return err
		}
		return tx.Commit()
	}
	fmt.Println(invoice("2011-1"))
	fmt.Println(invoice("2011-2"))
	var rows int
	err := db.QueryRowContext(ctx, "SELECT count(*) FROM invoices").Scan(&rows)
	fmt.Println(rows, err)
	// Output:
	// <nil>
	// version conflict on order-42: expected no stream, it is at version 1
	// 1 <nil>
}

// Two stores in one database, one for each context, are appended to in one transaction.
func ExampleAppendAll() {
	ctx := context.Background()
	pool, sales := exampleStore(ctx, "sales")
	defer pool.Close()
	defer sales.Close(ctx)
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{Schema: "stock"}); err != nil {
		panic(err)
	}
	stock, err := postgres.Open(ctx, pool, postgres.Options{Schema: "stock"})
	if err != nil {
		panic(err)
	}
	defer stock.Close(ctx)

	one := func(stream eventstore.StreamID, name string) eventstore.AppendRequest {
		return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: name}}}}}
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		receipts, err := postgres.AppendAll(ctx, tx,
			postgres.StoreAppend{Store: sales, Request: one("order-42", "order.placed")},
			postgres.StoreAppend{Store: stock, Request: one("item-7", "item.reserved")})
		for _, receipt := range receipts {
			fmt.Println(receipt.Versions)
		}
		return err
	})
	fmt.Println(err)
	// Output:
	// map[order-42:1]
	// map[item-7:1]
	// <nil>
}

// What to give the role of a program that only reads: for a migration tool, as SQL.
// [postgres.Grant] runs it.
func ExampleGrantSQL() {
	text, err := postgres.GrantSQL("sales", "reporting", postgres.ToRead)
	fmt.Print(text, err)
	// Output:
	// GRANT USAGE ON SCHEMA "sales" TO "reporting";
	// GRANT SELECT ON "sales".migrations, "sales".store, "sales".events, "sales".event_tags, "sales".commands TO "reporting";
	// GRANT EXECUTE ON FUNCTION "sales".adopt TO "reporting";
	// <nil>
}

// databaseURL is the address of a new database: "postgres://user@host/database" in real life.
func databaseURL() string {
	server, err := testservers.SharedPostgres()
	if err != nil {
		panic(err)
	}
	name, err := server.NewDatabase(context.Background(), "")
	if err != nil {
		panic(err)
	}
	return server.URL(name)
}

func exampleStore(ctx context.Context, schema string) (*pgxpool.Pool, *postgres.Store) {
	pool, err := pgxpool.New(ctx, databaseURL())
	if err != nil {
		panic(err)
	}
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{Schema: schema}); err != nil {
		panic(err)
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{Schema: schema})
	if err != nil {
		panic(err)
	}
	return pool, store
}
