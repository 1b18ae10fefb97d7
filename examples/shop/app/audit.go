package app

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/inventory"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/returns"
)

// Audit reads the whole log and adds up the totals by a plain loop, without any view.
// It fails if a position or a version is missing or an event does not decode.
func (a *App) Audit(ctx context.Context) (Totals, int64, error) {
	read, err := a.store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return Totals{}, 0, fmt.Errorf("audit: %w", err)
	}
	books := newBooks()
	for m, err := range read.Events() {
		if err == nil {
			err = books.enter(m)
		}
		if err != nil {
			return Totals{}, 0, fmt.Errorf("audit: %w", err)
		}
	}
	if books.at != read.Through.Position {
		return Totals{}, 0, fmt.Errorf("audit: the log ends at position %d, its head is %d", books.at, read.Through.Position)
	}
	return books.totals(), int64(books.at), nil
}

// books are the totals under way.
type books struct {
	at                         eventstore.Position
	versions                   map[eventstore.StreamID]eventstore.Version
	orders, returns, countries map[string]bool
	sum                        Totals
}

func newBooks() *books {
	return &books{
		versions: map[eventstore.StreamID]eventstore.Version{},
		orders:   map[string]bool{}, returns: map[string]bool{}, countries: map[string]bool{},
		sum: Totals{Days: map[string]int64{}},
	}
}

func (b *books) enter(m eventstore.Recorded) error {
	if m.Position != b.at+1 {
		return fmt.Errorf("position %d follows position %d", m.Position, b.at)
	}
	if m.Version != b.versions[m.Stream]+1 {
		return fmt.Errorf("%s: version %d follows version %d", m.Stream, m.Version, b.versions[m.Stream])
	}
	b.at, b.versions[m.Stream] = m.Position, m.Version
	events, err := Events.Decode(m)
	if err != nil {
		return err
	}
	for _, event := range events {
		b.add(m.Stream.ID(), event)
	}
	// What is added is never negative and far below the most that fits, so a sum that runs
	// over is negative here. The views run over in the same way: comparing would not tell.
	if b.sum.GrossPence < 0 || b.sum.ReturnedPence < 0 {
		return fmt.Errorf("position %d: what was sold or returned adds up to more pence than an int64 holds", m.Position)
	}
	return nil
}

func (b *books) add(invoice string, event any) {
	switch e := event.(type) {
	case order.LineSold:
		b.orders[invoice], b.countries[e.Country] = true, true
		b.sum.GrossPence += e.Quantity * e.UnitPence
		b.sum.Days[e.At.Format(time.DateOnly)] += e.Quantity * e.UnitPence
		b.sum.StockMoved -= e.Quantity
	case returns.LineAccepted:
		b.returns[invoice] = true
		b.sum.ReturnedPence += e.Quantity * e.UnitPence
		b.sum.StockMoved += e.Quantity
	case inventory.Adjusted:
		b.sum.Adjustments++
		b.sum.StockMoved += e.Quantity
	}
}

func (b *books) totals() Totals {
	b.sum.Orders, b.sum.Returns, b.sum.Countries = int64(len(b.orders)), int64(len(b.returns)), len(b.countries)
	return b.sum
}
