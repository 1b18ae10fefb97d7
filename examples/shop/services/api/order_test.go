package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/examples/shop/services/api"
)

// An order that is taken comes to its end: each of its streams can be, and each service can be told of it.
func TestAnOrderThatCannotComeToItsEndIsNotTaken(t *testing.T) {
	of := func(id string, lines ...api.Line) api.Place { return api.Place{ID: id, Country: "Spain", Lines: lines} }
	mug := api.Line{Item: "mug", Quantity: 1, Pence: 300}
	many := func(n int, item string) (lines []api.Line) {
		for range n {
			lines = append(lines, api.Line{Item: item, Quantity: 1})
		}
		return lines
	}
	for name, c := range map[string]struct {
		order   api.Place
		refused string
	}{
		"a mug":              {of("7", mug), ""},
		"the longest id":     {of(strings.Repeat("7", 255-len("reservation-")), mug), ""},
		"a longer one":       {of(strings.Repeat("7", 256-len("reservation-")), mug), "the id of the order"},
		"no id":              {of("", mug), "the id of the order"},
		"a long item":        {of("7", api.Line{Item: strings.Repeat("x", 600), Quantity: 1}), "an item"},
		"an unprintable one": {of("7", api.Line{Item: "mug\n", Quantity: 1}), "an item"},
		"one without a name": {of("7", api.Line{Quantity: 1}), "an item"},
		"no lines":           {of("7"), "there are 0 lines"},
		"the most lines":     {of("7", many(2_000, "mug")...), ""},
		"more":               {of("7", many(2_001, "mug")...), "there are 2001 lines"},
		"too many bytes":     {of("7", many(1_000, strings.Repeat("<", 50))...), "make several of it"},
		"nothing of it":      {of("7", api.Line{Item: "mug"}), "item mug: want a quantity"},
		"more than is":       {of("7", api.Line{Item: "mug", Quantity: 1 << 62, Pence: 4}), "item mug: want a quantity"},
		"too dear":           {of("7", api.Line{Item: "mug", Quantity: 1, Pence: 1 << 62}), "item mug: want a quantity"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.order.Validate()
			if c.refused == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.refused)
			}
		})
	}
}
