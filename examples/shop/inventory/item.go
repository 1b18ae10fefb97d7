// Package inventory corrects the stock and counts what is there.
package inventory

import (
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

// Item is the state of a stock item: the sum of its corrections. Sales and returns are
// facts of other streams; the view sales.StockByItem adds them up.
type Item struct {
	Corrected int64
}

// Event is something that happened to an item.
type Event interface{ apply(*Item) }

// Adjusted: the stock was corrected by a signed quantity. Row is the row's place in
// its command.
type Adjusted struct {
	Row         int
	StockCode   string
	Description string `json:",omitempty"`
	Quantity    int64
	InvoiceNo   string
	At          time.Time
}

func (e Adjusted) apply(i *Item) { i.Corrected += e.Quantity }

// Items are the stock items, in streams "stock-<stock code>".
var Items = aggregate.Define("stock", Event.apply,
	codec.Event[Adjusted]("stock.adjusted", codec.Tags(func(e Adjusted) []eventstore.Tag {
		return []eventstore.Tag{eventstore.NewTag("item", e.StockCode)}
	})))

// Adjust corrects the stock by what the rows say.
func Adjust(rows map[int]retail.Row) aggregate.Decision[Item, Event] {
	return func(Item) ([]Event, error) {
		var events []Event
		for _, n := range slices.Sorted(maps.Keys(rows)) {
			row := rows[n]
			events = append(events, Adjusted{
				Row: n, StockCode: row.StockCode, Description: row.Description,
				Quantity: row.Quantity, InvoiceNo: row.InvoiceNo, At: row.At,
			})
		}
		return events, nil
	}
}
