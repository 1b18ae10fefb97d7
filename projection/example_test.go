package projection_test

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// The events of a small shop, for the examples.
type (
	ItemSold struct {
		Item, Country string
		Pence         int64
	}
	ItemWithdrawn struct{ Item string }
)

func shopEvents() *codec.Set {
	set, err := codec.NewSet(codec.Event[ItemSold]("item.sold"), codec.Event[ItemWithdrawn]("item.withdrawn"))
	if err != nil {
		panic(err)
	}
	return set
}

// shop returns a store in which some things happened, each in the stream of an order.
func shop() *memory.Store {
	store := memory.NewStore()
	for n, event := range []any{
		ItemSold{"cup", "GB", 450}, ItemSold{"lamp", "FR", 1999}, ItemSold{"cup", "FR", 450}, ItemWithdrawn{"lamp"},
	} {
		data, err := shopEvents().Encode(event)
		if err != nil {
			panic(err)
		}
		_, err = store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: eventstore.NewStreamID("order", fmt.Sprint(n%2+1)), Events: []eventstore.EventData{data}},
		}})
		if err != nil {
			panic(err)
		}
	}
	return store
}

// A view is a row per key and a pure function per event type. The runner keeps its rows
// up to date in a sink, and a reader returns them as structs.
func ExampleNewView() {
	type Order struct {
		Number string `leftfold:"key"` // the id part of the event's stream
		Lines  int
		Pence  int64
	}
	orders := projection.NewView("orders", projection.ViewOptions{Version: 1, Indexes: []string{"pence"}},
		projection.When(func(o *Order, e ItemSold, _ eventstore.Recorded) {
			o.Lines++
			o.Pence += e.Pence
		}))

	ctx, sink := context.Background(), memory.NewSink()
	runner := projection.Runner{Log: shop(), Events: shopEvents(), Tasks: []projection.Task{projection.Into(sink, orders)}}
	if err := runner.CatchUp(ctx); err != nil { // Run would go on
		fmt.Println(err)
		return
	}

	reader := projection.NewReader(sink, orders)
	order, err := reader.Get(ctx, "1")
	fmt.Printf("%+v %v\n", order, err)
	for order, err := range reader.All(ctx, projection.ListQuery{By: "pence", Descending: true}) {
		fmt.Println(order.Number, order.Pence, err)
	}
	// Output:
	// {Number:1 Lines:2 Pence:900} <nil>
	// 2 1999 <nil>
	// 1 900 <nil>
}

// The row need not be that of the stream: a key function names it, and one event may
// touch several rows.
func ExampleWhenKeyed() {
	type Sales struct {
		Key   string `leftfold:"key"`
		Pence int64
	}
	add := func(s *Sales, e ItemSold, _ eventstore.Recorded) { s.Pence += e.Pence }
	sales := projection.NewView("sales", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e ItemSold, _ eventstore.Recorded) string { return projection.Key("item", e.Item) }, add),
		projection.WhenKeyed(func(e ItemSold, _ eventstore.Recorded) string { return projection.Key("country", e.Country) }, add),
		projection.Delete[Sales](func(e ItemWithdrawn) string { return projection.Key("item", e.Item) }))

	ctx, sink := context.Background(), memory.NewSink()
	runner := projection.Runner{Log: shop(), Events: shopEvents(), Tasks: []projection.Task{projection.Into(sink, sales)}}
	if err := runner.CatchUp(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for row, err := range projection.NewReader(sink, sales).All(ctx, projection.ListQuery{}) {
		fmt.Println(projection.SplitKey(row.Key), row.Pence, err)
	}
	// Output:
	// [country FR] 2449 <nil>
	// [country GB] 450 <nil>
	// [item cup] 900 <nil>
}

// A handler writes what it likes in the sink's own transaction; the checkpoint moves in
// the same transaction, so catching up again adds nothing.
func ExampleNewHandler() {
	query := eventstore.Types(shopEvents().StoredAs("item.sold")...)
	stock := projection.NewHandler("stock", projection.HandlerOptions{Version: 1, Query: query},
		func(_ context.Context, tx *memory.Tx, m eventstore.Recorded) error {
			decoded, err := shopEvents().Decode(m)
			if err != nil {
				return err
			}
			for _, event := range decoded { // an old one may stand for several, of other types too
				if e, is := event.(ItemSold); is {
					sold, _ := tx.Get("sold", e.Item)
					n, _ := sold.(int)
					tx.Put("sold", e.Item, n+1)
				}
			}
			return nil
		})

	ctx, sink := context.Background(), memory.NewSink()
	runner := projection.Runner{Log: shop(), Tasks: []projection.Task{projection.On(sink, stock)}}
	fmt.Println(runner.CatchUp(ctx), runner.CatchUp(ctx))
	fmt.Println(sink.Value("sold", "cup"))
	// Output:
	// <nil> <nil>
	// 2 true
}

// A view whose fold was changed has a higher version. It is built beside the live one and then
// replaces it; the old one can be live again until it is retired.
func ExampleRebuild() {
	type Item struct {
		Name  string `leftfold:"key"`
		Pence int64
	}
	byItem := func(e ItemSold, _ eventstore.Recorded) string { return e.Item }
	one := projection.NewView("items", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(byItem, func(i *Item, e ItemSold, _ eventstore.Recorded) { i.Pence = e.Pence }))
	two := projection.NewView("items", projection.ViewOptions{Version: 2},
		projection.WhenKeyed(byItem, func(i *Item, e ItemSold, _ eventstore.Recorded) { i.Pence += e.Pence }))

	ctx, store, sink := context.Background(), shop(), memory.NewSink()
	runner := projection.Runner{Log: store, Events: shopEvents(), Tasks: []projection.Task{projection.Into(sink, one)}}
	fmt.Println(runner.CatchUp(ctx))

	last := projection.Phase("")
	err := projection.Rebuild(ctx, store, shopEvents(), projection.Into(sink, two), projection.RebuildOptions{
		OnProgress: func(p projection.RebuildProgress) {
			if p.Phase != last {
				last = p.Phase
				fmt.Println(p.Phase)
			}
		},
	})
	fmt.Println(err)
	cup, err := projection.NewReader(sink, two).Get(ctx, "cup")
	fmt.Printf("%+v %v\n", cup, err)

	report, err := projection.Audit(ctx, store, shopEvents(), sink, two, projection.AuditOptions{})
	fmt.Println(report.Keys, report.Differences, err)
	fmt.Println(projection.Retire(ctx, sink, one.Generation()))
	// Output:
	// <nil>
	// replaying
	// indexing
	// verifying
	// switching
	// switched
	// <nil>
	// {Name:cup Pence:900} <nil>
	// [cup lamp] [] <nil>
	// <nil>
}
