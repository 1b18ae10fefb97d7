//go:build unix

package saga_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// The script of the torture: transfers and orders in turn. What becomes of each does not depend on
// when anything happens.

// tortured takes the money and a fee, gives both at the same time, and may have to undo all of it.
var tortured = saga.Define("tortured", saga.Definition[requested]{
	Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
	On: []saga.Rule[requested]{
		saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID },
			func(t *requested, e requested, _ eventstore.Recorded) { *t = e }),
		saga.On[requested](func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, nil),
	},
	Steps: []saga.Step[requested]{
		{
			Name:    "withdraw",
			Do:      saga.Send("account.withdraw", func(t requested) withdraw { return withdraw{t.From, t.Cents + 1, t.ID} }),
			Done:    []saga.Match{saga.By[withdrawn]()},
			Timeout: time.Hour,
			Undo:    saga.Send("account.deposit", func(t requested) deposit { return deposit{t.From, t.Cents + 1, t.ID} }),
		},
		{Name: "deposit", Do: saga.Send("account.deposit", func(t requested) deposit { return deposit{t.To, t.Cents, t.ID} })},
		{
			Name:     "fee",
			Do:       saga.Send("account.deposit", func(t requested) deposit { return deposit{house(t.From), 1, t.ID} }),
			Undo:     saga.Send("account.withdraw", func(t requested) withdraw { return withdraw{house(t.From), 1, ""} }),
			Together: true,
		},
	},
	Retry: saga.Retry{First: time.Millisecond, Most: 20 * time.Millisecond, Attempts: 1000},
})

const funds = 1_000_000

var (
	owners = []string{"ann", "bob", "cay", "dov", "house", "poor", "shop"}
	goods  = []string{"book", "lamp", "none"}
)

func newServices(store aggregate.Store) *command.Bus {
	bus := newBank(store)
	addShop(bus, store)
	return bus
}

// opens opens the accounts and fills the stock.
func (at place) opens(t *testing.T) {
	t.Helper()
	at.closes(t, "zoe")
	for n := range several {
		for _, owner := range []string{"ann", "cay", "dov", "house", "shop"} {
			at.deposits(t, nthOf(owner, n), funds)
		}
		for _, name := range []string{"book", "lamp"} {
			_, err := aggregate.NewRepository(at.store, items).Execute(t.Context(), nthOf(name, n), func(item) ([]itemEvent, error) { return []itemEvent{stocked{funds}}, nil })
			require.NoError(t, err)
		}
	}
}

// house is who takes the fee of somebody's transfers.
func house(from string) string { return "house" + from[len(from)-1:] }

// nth returns the nth transfer. Each third one cannot be carried out.
func nth(n int) requested {
	to := nthOf("bob", n)
	if n%3 == 0 {
		to = "zoe"
	}
	return requested{ID: fmt.Sprintf("t%05d", n), From: nthOf("ann", n), To: to, Cents: int64(1 + n%100)}
}

// requestsNth makes the nth request of the script.
func (at place) requestsNth(ctx context.Context, n int) (err error) {
	if n%2 == 0 {
		r := nth(n / 2)
		_, err = aggregate.NewRepository(at.store, transferOrders).Execute(ctx, r.ID,
			func(orders) ([]orderEvent, error) { return []orderEvent{r}, nil }, aggregate.CommandID(r.ID))
		return err
	}
	o, _ := nthOrder(n / 2)
	_, err = aggregate.NewRepository(at.store, shopOrder).Execute(ctx, o.ID,
		func(shopOrders) ([]placed, error) { return []placed{o}, nil }, aggregate.CommandID(o.ID))
	return err
}

// final is all that can be told of a place when all instances have ended.
type final struct {
	balances, units map[string]int64
	parcels         int64 // that are out
	ends            map[string]end
}

// end is how an instance has ended.
type end struct {
	phase    saga.Phase
	undone   []string // steps, by name
	commands []string // that it has sent
}

func (at place) final(t *testing.T, requests int) final {
	t.Helper()
	f := final{map[string]int64{}, map[string]int64{}, 0, map[string]end{}}
	for n := range several {
		for _, owner := range owners {
			f.balances[nthOf(owner, n)] = at.balance(t, nthOf(owner, n))
		}
		for _, name := range goods {
			state, _, err := aggregate.NewRepository(at.store, items).Load(t.Context(), nthOf(name, n))
			require.NoError(t, err)
			f.units[nthOf(name, n)] = state.Units
		}
	}
	for n := range requests {
		id, timeline := nth(n/2).ID, tortured.Timeline
		if n%2 == 1 {
			o, _ := nthOrder(n / 2)
			state, _, err := aggregate.NewRepository(at.store, parcels).Load(t.Context(), o.ID)
			require.NoError(t, err)
			f.parcels += state.Out
			if id, timeline = o.ID, fulfilled.Timeline; o.Carrier == late {
				timeline = impatient.Timeline
			}
		}
		entries, err := timeline(t.Context(), at.store, id)
		require.NoError(t, err)
		f.ends[id] = endOf(t, id, entries)
	}
	return f
}

// endOf also requires that the steps were undone in the opposite order.
func endOf(t *testing.T, id string, entries []saga.Entry) (e end) {
	t.Helper()
	var order []string // in which the steps that are undone have ended
	sent := map[string]bool{}
	for _, entry := range entries {
		switch entry.Kind {
		case "saga.step.completed", "saga.step.abandoned":
			order = append(slices.DeleteFunc(order, func(s string) bool { return s == entry.Step }), entry.Step)
		case "saga.step.undone":
			e.undone = append(e.undone, entry.Step)
		case "saga.command.requested":
			sent[fmt.Sprintf("%s %s", entry.Name, entry.Payload)] = true
		case "saga.ended":
			require.Empty(t, e.phase, "instance %s ended twice", id)
			e.phase = entry.Phase
		}
	}
	order = slices.DeleteFunc(order, func(s string) bool { return !slices.Contains(e.undone, s) })
	slices.Reverse(order)
	require.True(t, slices.Equal(order, e.undone), "instance %s: the step that ended last is undone first: %v", id, entries)
	slices.Sort(e.undone)
	e.commands = slices.Sorted(maps.Keys(sent))
	return e
}

// conserves returns whether money or goods are gone, or were made.
func (f final) conserves() error {
	var money, units int64
	for _, balance := range f.balances {
		money += balance
	}
	for _, n := range f.units {
		units += n
	}
	if money != 5*funds*several || units+f.parcels != 2*funds*several {
		return fmt.Errorf("%d cents and %d things, want %d and %d: %+v, %+v and %d parcels", money, units+f.parcels, 5*funds*several, 2*funds*several, f.balances, f.units, f.parcels)
	}
	return nil
}

func (f final) differsFrom(want final) (err error) {
	for id, got := range f.ends {
		if !reflect.DeepEqual(got, want.ends[id]) {
			err = errors.Join(err, fmt.Errorf("instance %s\ngot  %+v\nwant %+v", id, got, want.ends[id]))
		}
	}
	if err == nil && !reflect.DeepEqual(f, want) {
		err = fmt.Errorf("got  %+v, %+v, %d parcels\nwant %+v, %+v, %d parcels", f.balances, f.units, f.parcels, want.balances, want.units, want.parcels)
	}
	return err
}

// undoesWhatItMust compares the ends with what the definitions say.
func (f final) undoesWhatItMust(requests int) (err error) {
	for n := range requests {
		id, phase, undoes := nth(n/2).ID, saga.Completed, []string(nil)
		if nth(n/2).To == "zoe" {
			phase, undoes = saga.Compensated, []string{"fee", "withdraw"}
		}
		if n%2 == 1 {
			o, kind := nthOrder(n / 2)
			id, phase, undoes = o.ID, kind.ends, kind.undoes
		}
		if got := f.ends[id]; got.phase != phase || !slices.Equal(got.undone, undoes) {
			err = errors.Join(err, fmt.Errorf("instance %s is %s, %v are undone; want %s, %v", id, got.phase, got.undone, phase, undoes))
		}
	}
	return err
}
