package eventstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

func TestQueryMatches(t *testing.T) {
	e := eventstore.EventData{Type: "placed", Tags: []eventstore.Tag{"customer:a", "item:x"}}
	both := eventstore.Query{Items: []eventstore.QueryItem{{Types: []string{"placed", "paid"}, Tags: []eventstore.Tag{"item:x"}}}}
	for _, c := range []struct {
		query          eventstore.Query
		words          string
		matches        bool
		tagged, always bool
	}{
		{eventstore.Query{}, "every event", true, false, true},
		{eventstore.Query{Items: []eventstore.QueryItem{{}}}, "every event", true, false, true},
		{eventstore.Types("placed"), "placed", true, false, false},
		{eventstore.Types("paid"), "paid", false, false, false},
		{eventstore.Tagged("item:x"), "any type tagged item:x", true, true, false},
		{eventstore.Tagged("item:x", "customer:a"), "any type tagged item:x,customer:a", true, true, false},
		{eventstore.Tagged("item:x", "customer:b"), "any type tagged item:x,customer:b", false, true, false},
		{both, "placed|paid tagged item:x", true, true, false},
		{both.Or(eventstore.Types("paid")), "placed|paid tagged item:x or paid", true, false, false},
		{eventstore.Tagged("no:1").Or(eventstore.Tagged("no:2")), "any type tagged no:1 or any type tagged no:2", false, true, false},
	} {
		require.Equal(t, c.words, c.query.String())
		require.Equal(t, c.matches, c.query.Matches(e), c.words)
		require.Equal(t, c.tagged, c.query.Tagged(), c.words)
		require.Equal(t, c.always, c.query.MatchesAll(), c.words)
	}
}

// Or must not read "no items" as "nothing": a query without items matches every event.
func TestOrWithEveryEventIsEveryEvent(t *testing.T) {
	require.True(t, eventstore.Query{}.Or(eventstore.Types("a")).MatchesAll())
	require.True(t, eventstore.Types("a").Or(eventstore.Query{}).MatchesAll())
}

func TestOrLeavesItsOperandsAlone(t *testing.T) {
	a := eventstore.Query{Items: make([]eventstore.QueryItem, 1, 4)}
	a.Items[0].Types = []string{"a"}
	b, c := a.Or(eventstore.Types("b")), a.Or(eventstore.Types("c"))
	require.Equal(t, "a or b", b.String())
	require.Equal(t, "a or c", c.String())
}
