package books_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/inventory"
	"github.com/leftfold/leftfold/examples/shop/services/order"
	"github.com/leftfold/leftfold/examples/shop/services/payment"
	"github.com/leftfold/leftfold/examples/shop/services/shipping"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

var (
	good = api.Order{ID: "good", Country: "Spain", Lines: []api.Line{{Item: "mug", Quantity: 2, Pence: 300}, {Item: "tea", Quantity: 1, Pence: 450}}}
	dear = api.Order{ID: "dear", Country: "Spain", Lines: []api.Line{{Item: "mug", Quantity: 1, Pence: 300_00}}}
	far  = api.Order{ID: "far", Country: "France", Lines: []api.Line{{Item: "mug", Quantity: 3, Pence: 300}}}
)

// day is what happens on a day without mistakes: one order is fulfilled, one is declined, and one is not sent.
var day = []struct {
	service string
	command any
}{
	{"inventory", api.Receive{Lines: []api.Line{{Item: "mug", Quantity: 10}, {Item: "tea", Quantity: 10}}}},
	{"order", api.Place(good)},
	{"inventory", api.Reserve(good)},
	{"payment", api.Take(good)},
	{"shipping", api.Send(good)},
	{"order", api.Fulfil{Order: "good"}},
	{"order", api.Place(dear)},
	{"inventory", api.Reserve(dear)},
	{"payment", api.Take(dear)},
	{"inventory", api.Release{Order: "dear"}},
	{"order", api.Cancel{Order: "dear", Reason: "too dear"}},
	{"order", api.Place(far)},
	{"inventory", api.Reserve(far)},
	{"payment", api.Take(far)},
	{"shipping", api.Send(far)},
	{"payment", api.Refund{Order: "far"}},
	{"inventory", api.Release{Order: "far"}},
	{"order", api.Cancel{Order: "far", Reason: "too far"}},
}

// mistake is what goes wrong on a day. The zero value is nothing.
type mistake struct {
	forgets any                 // a command that nobody does
	in      string              // a service that decides what it may not decide,
	stream  eventstore.StreamID // in this stream
	event   any
	tells   func(into eventstore.Appender, right relay.Publisher) relay.Publisher // how the gateway is told
	view    host.View                                                             // in place of that of its name
}

// after returns the services as they are after a day.
func after(t *testing.T, m mistake) books.Services {
	t.Helper()
	all := books.Services{}
	for _, service := range []host.Service{
		order.Service(nil), inventory.Service(), gateway.Service(discovery.Static{}, 1),
		payment.Service(func(o api.Order) string { return map[string]string{"dear": "too dear"}[o.ID] }),
		shipping.Service(func(country string) bool { return country == "France" }),
	} {
		all[service.Name] = books.Part{Service: service, Store: &host.Store{Store: memory.NewStore(), Sink: memory.NewSink()}}
	}
	for _, does := range day {
		if assert.ObjectsAreEqual(m.forgets, does.command) {
			continue
		}
		bus := command.NewBus()
		all[does.service].Service.Commands(bus, all[does.service].Store, nil)
		_, err := bus.Dispatch(t.Context(), does.command)
		require.NoError(t, err)
	}
	if m.event != nil {
		data, err := api.Events.Encode(m.event)
		require.NoError(t, err)
		_, err = all[m.in].Store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: m.stream, Events: []eventstore.EventData{data}}}})
		require.NoError(t, err)
	}
	tell(t, all, m)
	for _, part := range all {
		for _, view := range part.Service.Views {
			if m.view != nil && m.view.Generation() == view.Generation() {
				view = m.view
			}
			runner := projection.Runner{Log: part.Store, Events: api.Events, Tasks: []projection.Task{view.Into(part.Store.Sink)}}
			require.NoError(t, runner.CatchUp(t.Context()))
		}
	}
	return all
}

// tell has the relays of the services tell the gateway over HTTP what has happened, and that twice: they
// forget how far they were.
func tell(t *testing.T, all books.Services, m mistake) {
	t.Helper()
	door := all["gateway"]
	server := httptest.NewServer(door.Service.Handler(door.Store, host.Options{}))
	defer server.Close()
	found, err := discovery.NewStatic(map[string][]string{"gateway": {server.URL}})
	require.NoError(t, err)
	for range 2 {
		for _, name := range []string{"order", "inventory", "payment", "shipping"} {
			for _, r := range all[name].Service.Parts(all[name].Store, host.Options{Found: found, Tells: []string{"gateway"}}).Relays {
				r.Sink = memory.NewSink()
				if m.tells != nil {
					r.Publisher = m.tells(door.Store, r.Publisher)
				}
				require.NoError(t, r.CatchUp(t.Context()))
			}
		}
	}
}

func TestTheBooksOfADayWithoutMistakesAddUp(t *testing.T) {
	t.Parallel()
	r, err := books.Check(t.Context(), after(t, mistake{}))
	require.NoError(t, err)
	assert.Equal(t, books.Report{
		Placed: 3, Fulfilled: 1, Cancelled: 2,
		Received: 20, OnHand: 17, Sold: 7, Returned: 4,
		Taken: 1050 + 900, Refunded: 900, FulfilledPence: 1050,
		Events: 25, Applied: 25, Rows: 17,
	}, r)
}

// The books are not to be fooled: each of these is found, and named.
func TestTheBooksFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mistake

		found []string
	}{
		"an event is lost on the way":          {mistake{tells: losing}, []string{"order good: the gateway says {Order:good", "Status:placed"}},
		"events come twice to who forgets":     {mistake{tells: forgetting}, []string{"order good: the gateway says", "Applied:10}"}},
		"events come in another order":         {mistake{tells: reversing}, []string{"order good: the gateway says", "Status:placed"}},
		"a read model applies an event twice":  {mistake{view: paidTwice}, []string{"the read models have applied 27 events, the logs have 25", "view payments: the row is {Order:good"}},
		"a read model leaves an event out":     {mistake{view: neverSent}, []string{"view shipments: the row is {Order:good"}},
		"fulfilled and cancelled":              {mistake{in: "order", stream: "order-good", event: api.Cancelled{}}, []string{"order good: something happened to it twice"}},
		"fulfilled twice":                      {mistake{in: "order", stream: "order-good", event: api.Fulfilled{}}, []string{"order good: something happened to it twice", "placed 3 is not fulfilled 2 + cancelled 2"}},
		"money is taken twice":                 {mistake{in: "payment", stream: "payment-good", event: api.Taken{Order: good}}, []string{"order good: something happened to it twice", "taken 3000 - refunded 900 is not what fulfilled orders cost, 1050"}},
		"money is never taken":                 {mistake{forgets: api.Take(good)}, []string{"order good is fulfilled, and not as a whole", "taken 900 - refunded 900"}},
		"money is given back for what is kept": {mistake{in: "payment", stream: "payment-good", event: api.Refunded{Pence: 1050}}, []string{"order good is fulfilled, and not as a whole"}},
		"money is given back that nobody took": {mistake{in: "payment", stream: "payment-dear", event: api.Refunded{Pence: 1}}, []string{"order dear: more is given back"}},
		"goods are picked twice":               {mistake{in: "inventory", stream: "item-mug", event: api.Picked{Order: "good", Quantity: 2}}, []string{"order good is fulfilled, and not as a whole"}},
		"goods are not put back":               {mistake{in: "inventory", stream: "item-mug", event: api.Picked{Order: "far", Quantity: 1}}, []string{"order far is cancelled, and not all of it was given back"}},
		"what was cancelled is sent":           {mistake{in: "shipping", stream: "shipment-dear", event: api.Sent{}}, []string{"order dear is cancelled, and nobody refused it, or it was sent"}},
		"what nobody has placed is sent":       {mistake{in: "shipping", stream: "shipment-none", event: api.Sent{}}, []string{"order none: nobody has placed it"}},
		"somebody makes an order up":           {mistake{in: "gateway", stream: "order-none", event: api.Placed{}}, []string{"order none: the gateway says"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := books.Check(t.Context(), after(t, c.mistake))
			require.Error(t, err)
			for _, found := range c.found {
				require.ErrorContains(t, err, found)
			}
		})
	}
}

// What is not undone yet is no mistake: somebody still has something to do.
func TestAnOrderThatIsNotUndoneYetIsOpen(t *testing.T) {
	t.Parallel()
	for _, forgets := range []any{api.Release{Order: "far"}, api.Refund{Order: "far"}, api.Fulfil{Order: "good"}} {
		r, err := books.Check(t.Context(), after(t, mistake{forgets: forgets}))
		require.NoError(t, err)
		assert.EqualValues(t, 1, r.Open)
	}
}

// told is a publisher that is made of another one.
type told struct {
	relay.Publisher

	publish func(ctx context.Context, messages []relay.Message) ([]error, error)
}

func (p told) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	return p.publish(ctx, messages)
}

// losing loses the last of each batch, and says that it was taken.
func losing(_ eventstore.Appender, right relay.Publisher) relay.Publisher {
	return told{right, func(ctx context.Context, messages []relay.Message) ([]error, error) {
		kept := slices.DeleteFunc(slices.Clone(messages), func(m relay.Message) bool { return m.Type == "order.fulfilled" })
		_, err := right.Publish(ctx, kept)
		return make([]error, len(messages)), err
	}}
}

// reversing tells the last of each batch first.
func reversing(_ eventstore.Appender, right relay.Publisher) relay.Publisher {
	return told{right, func(ctx context.Context, messages []relay.Message) ([]error, error) {
		turned := slices.Clone(messages)
		slices.Reverse(turned)
		return right.Publish(ctx, turned)
	}}
}

// forgetting puts into the gateway's log what comes, whether it was there before or not.
func forgetting(into eventstore.Appender, right relay.Publisher) relay.Publisher {
	return told{right, func(ctx context.Context, messages []relay.Message) ([]error, error) {
		for _, m := range messages {
			_, err := into.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: m.Stream, Events: []eventstore.EventData{{Type: m.Type, SchemaVersion: m.SchemaVersion, Data: m.Data}}}}})
			if err != nil {
				return nil, err
			}
		}
		return make([]error, len(messages)), nil
	}}
}

var (
	paidTwice = host.Keep(projection.NewView("payments", projection.ViewOptions{Version: 1},
		projection.When(func(r *payment.Row, e api.Taken, _ eventstore.Recorded) {
			r.Status, r.Taken, r.Applied = "taken", e.Order.Pence(), r.Applied+2
		}),
		projection.When(func(r *payment.Row, e api.Declined, _ eventstore.Recorded) {
			r.Status, r.Reason, r.Applied = "declined", e.Reason, r.Applied+1
		}),
		projection.When(func(r *payment.Row, e api.Refunded, _ eventstore.Recorded) {
			r.Status, r.Refunded, r.Applied = "refunded", e.Pence, r.Applied+1
		})))

	neverSent = host.Keep(projection.NewView("shipments", projection.ViewOptions{Version: 1},
		projection.When(func(r *shipping.Row, _ api.Sent, _ eventstore.Recorded) { r.Applied++ }),
		projection.When(func(r *shipping.Row, e api.ShipmentRefused, _ eventstore.Recorded) {
			r.Status, r.Reason, r.Applied = "refused", e.Reason, r.Applied+1
		})))
)

func TestWhatIsWrongIsFoundAlthoughTheTotalsSayThatAllIsDone(t *testing.T) {
	for name, m := range map[string]mistake{
		"fulfilled twice":         {in: "order", stream: "order-good", event: api.Fulfilled{}},
		"fulfilled and cancelled": {in: "order", stream: "order-good", event: api.Cancelled{}},
	} {
		t.Run(name, func(t *testing.T) {
			all := after(t, m)
			_, check := books.Check(t.Context(), all)
			require.ErrorContains(t, check, "something happened to it twice")
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			_, err := books.Wait(ctx, all)
			require.ErrorContains(t, err, "something happened to it twice")
		})
	}
}

func TestTheBooksOfAnOpenOrderAreToldAll(t *testing.T) {
	all := after(t, mistake{forgets: api.Fulfil{Order: "good"}})
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	r, err := books.Wait(ctx, all)
	require.ErrorContains(t, err, "1 orders are open; are all services running?")
	require.EqualValues(t, 3, r.Placed)
}

func TestWhoIsToldToStopReadsNoBooks(t *testing.T) {
	all := after(t, mistake{forgets: api.Fulfil{Order: "good"}})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r, err := books.Wait(ctx, all)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, r)
}
