// Package api is what the services of the shop say to each other: commands, events, and the paper
// that goes with them. Nothing here decides anything. Its JSON is a contract between services that
// are deployed one by one, so fields may be added and none may change its meaning.
package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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

// checkLines is what no service needs to look at again.
func checkLines(lines []Line) error {
	if len(lines) == 0 {
		return errors.New("there is a line at least")
	}
	for _, l := range lines {
		if l.Item == "" || l.Quantity < 1 || l.Pence < 0 {
			return fmt.Errorf("item %q: it is one at least of an item that has a name, at no less than nothing", l.Item)
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
