// Package api is what the services of the shop say to each other: commands, events, and the paper
// that goes with them. Nothing here decides anything. Its JSON is a contract between services that
// are deployed one by one, so fields may be added and none may change its meaning.
package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// Order is the paper of an order. Each service is given all of it, so that none must ask another one.
type Order struct {
	ID       string `json:"id"`
	Customer string `json:"customer,omitempty"` // empty: a guest
	Country  string `json:"country"`
	Lines    []Line `json:"lines"`
}

// Line is so many of an item, each at a price.
type Line struct {
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
	Pence    int64  `json:"pence,omitempty"`
}

// Pence is what the order costs.
func (o Order) Pence() (sum int64) {
	for _, l := range o.Lines {
		sum += l.Quantity * l.Pence
	}
	return sum
}

// Units is how many things are in it.
func (o Order) Units() (sum int64) {
	for _, l := range o.Lines {
		sum += l.Quantity
	}
	return sum
}

// What an order may have. Other services are told of it in one message, its goods are kept in one append, and
// what all orders cost is one number.
const (
	maxLines    = 2_000
	maxBytes    = 256 << 10 // as JSON
	maxQuantity = 1_000_000 // of a line
	maxPence    = 1_000_000_00
)

// check is what no service needs to look at again: there is a way for the order to its end.
func (o Order) check() error {
	// of all streams of an order this has the longest name
	if err := eventstore.NewStreamID("reservation", o.ID).Validate(); err != nil {
		return fmt.Errorf("the id of the order: %w", err)
	}
	if err := checkLines(o.Lines); err != nil {
		return err
	}
	text, err := json.Marshal(o)
	if err == nil && len(text) > maxBytes {
		err = fmt.Errorf("the order has %d bytes, and may have %d: make several of it", len(text), maxBytes)
	}
	return err
}

func checkLines(lines []Line) error {
	if len(lines) == 0 || len(lines) > maxLines {
		return fmt.Errorf("there are %d lines: want 1 to %d", len(lines), maxLines)
	}
	for _, l := range lines {
		if err := eventstore.NewStreamID("item", l.Item).Validate(); err != nil {
			return fmt.Errorf("an item: %w", err)
		}
		if l.Quantity < 1 || l.Quantity > maxQuantity || l.Pence < 0 || l.Pence > maxPence {
			return fmt.Errorf("item %s: want a quantity of 1 to %d, at 0 to %d pence", l.Item, maxQuantity, maxPence)
		}
	}
	return nil
}

// ByItem returns how many of each item the lines have, in the order of the items.
func ByItem(lines []Line) (all []Line) {
	sums := map[string]int64{}
	for _, l := range lines {
		sums[l.Item] += l.Quantity
	}
	for _, item := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, Line{Item: item, Quantity: sums[item]})
	}
	return all
}
