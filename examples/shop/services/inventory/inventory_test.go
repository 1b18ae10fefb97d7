package inventory_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/inventory"
	"github.com/leftfold/leftfold/saga"
)

// meanwhile is a store where something happens before an event of the type is appended for the first time.
type meanwhile struct {
	eventstore.Store

	before  string
	happens func()
}

func (m *meanwhile) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	if happens := m.happens; happens != nil && r.Writes[0].Events[0].Type == m.before {
		m.happens = nil
		happens()
	}
	return m.Store.Append(ctx, r)
}

// stock is what is on the shelf of one item.
type stock struct {
	*testing.T

	store *memory.Store
}

func (s stock) busOn(store eventstore.Store) *command.Bus {
	bus := command.NewBus()
	inventory.Service().Commands(bus, store, nil)
	return bus
}

func (s stock) receives(mugs int64, id string) {
	_, err := s.busOn(s.store).Dispatch(s.Context(), api.Receive{Lines: []api.Line{{Item: "mug", Quantity: mugs}}}, command.ID(id))
	require.NoError(s, err)
}

// asks is what a saga does.
func (s stock) asks(store eventstore.Store, name, id string, c any) error {
	payload, err := json.Marshal(c)
	require.NoError(s, err)
	return saga.ToBus(s.busOn(store)).Dispatch(s.Context(), saga.Command{ID: id, Name: name, Payload: payload})
}

func (s stock) types(stream eventstore.StreamID) (all []string) {
	for m, err := range s.store.ReadStream(s.Context(), stream, eventstore.StreamRange{}) {
		require.NoError(s, err)
		all = append(all, m.Type)
	}
	return all
}

var twoMugs = api.Reserve{ID: "7", Lines: []api.Line{{Item: "mug", Quantity: 2, Pence: 300}}}

// A saga's request is under way twice, as after a kill -9. One finds the shelf short; then a delivery comes,
// and the other one finds enough. The goods are kept, so nobody may be told that they are not.
func TestAReservationThatWasMadeIsNotRefused(t *testing.T) {
	s := stock{t, memory.NewStore()}
	s.receives(1, "a delivery")
	slow := &meanwhile{s.store, "stock.refused", func() {
		s.receives(5, "another delivery")
		require.NoError(t, s.asks(s.store, "stock.reserve", "the same", twoMugs))
	}}
	require.NoError(t, s.asks(slow, "stock.reserve", "the same", twoMugs))
	require.Equal(t, []string{"stock.reserved"}, s.types("reservation-7"))
}

// Two who want the goods back, under ids of their own, get them back once, and neither is told no.
func TestGoodsAreReleasedOnceHoweverManyAskForIt(t *testing.T) {
	s := stock{t, memory.NewStore()}
	s.receives(5, "a delivery")
	require.NoError(t, s.asks(s.store, "stock.reserve", "reserve", twoMugs))
	slow := &meanwhile{s.store, "stock.released", func() {
		require.NoError(t, s.asks(s.store, "stock.release", "one", api.Release{Order: "7"}))
	}}
	require.NoError(t, s.asks(slow, "stock.release", "another", api.Release{Order: "7"}))
	require.Equal(t, []string{"stock.reserved", "stock.released"}, s.types("reservation-7"))
	require.Equal(t, []string{"stock.received", "stock.picked", "stock.put_back"}, s.types("item-mug"))
}

// Of two who want goods the second one waits, and does not spoil what the first one has decided.
func TestReservationsTakeTurns(t *testing.T) {
	s := stock{t, memory.NewStore()}
	s.receives(5, "a delivery")
	slow := &meanwhile{s.store, "stock.reserved", nil}
	bus := s.busOn(slow)
	another := api.Reserve{ID: "8", Lines: twoMugs.Lines}
	slow.happens = func() {
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer stop()
		_, err := bus.Dispatch(ctx, another)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, s.types("reservation-8"))
	}
	_, err := bus.Dispatch(t.Context(), twoMugs)
	require.NoError(t, err)
	_, err = bus.Dispatch(t.Context(), another)
	require.NoError(t, err)
	require.Equal(t, []string{"stock.received", "stock.picked", "stock.picked"}, s.types("item-mug"))
}

// another delivers a mug before each append.
type another struct {
	*memory.Store
	t *testing.T
	n int
}

func (a *another) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	if a.n++; a.n <= 30 {
		data, err := api.Events.Encode(api.Received{Quantity: 1})
		require.NoError(a.t, err)
		_, err = a.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "item-mug", Events: []eventstore.EventData{data}}}})
		require.NoError(a.t, err)
	}
	return a.Store.Append(ctx, r)
}

func TestAReservationOutlastsThirtyDeliveries(t *testing.T) {
	s := stock{t, memory.NewStore()}
	s.receives(5, "a delivery")
	a := &another{Store: s.store, t: t}
	_, err := s.busOn(a).Dispatch(t.Context(), twoMugs)
	require.NoError(t, err)
}
