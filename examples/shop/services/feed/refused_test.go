package feed_test

import (
	"context"
	"iter"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
)

// What the door refuses, or cannot be sent to it, is told, and is no order that was placed.
func TestAnOrderThatIsRefusedWasNotPlaced(t *testing.T) {
	t.Parallel()
	bus := command.NewBus(command.Validate())
	command.Handle(bus, "order.place", func(context.Context, api.Place) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	command.Handle(bus, "stock.receive", func(context.Context, api.Receive) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	door := httptest.NewServer(httpapi.Commands(bus, httpapi.Options{}))
	defer door.Close()
	for _, id := range []string{"", "\u00e9"} { // is no id, and makes no key
		orders := iter.Seq2[api.Order, error](func(yield func(api.Order, error) bool) {
			mug := []api.Line{{Item: "mug", Quantity: 1}}
			_ = yield(api.Order{ID: "good", Lines: mug}, nil) && yield(api.Order{ID: id, Lines: mug}, nil)
		})
		placed, err := feed.Place(t.Context(), &httpapi.Client{URL: door.URL}, orders, feed.Options{Clients: 1})
		require.ErrorIs(t, err, command.ErrInvalidCommand)
		require.Equal(t, 1, placed)
	}
}
