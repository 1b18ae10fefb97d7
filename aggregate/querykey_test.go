package aggregate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/eventstore"
)

// Command ids are made of it and kept for ever: these texts never change.
func TestTheKeyOfAQueryIsFrozen(t *testing.T) {
	assert.Equal(t, `query:`, queryKey(eventstore.Query{}))
	assert.Equal(t, `query:types["a" "b, \"c\""] tags["x:1" "y:2"];types[] tags["z:3"]`, queryKey(eventstore.Query{
		Items: []eventstore.QueryItem{
			{Tags: []eventstore.Tag{"z:3"}},
			{Types: []string{`b, "c"`, "a"}, Tags: []eventstore.Tag{"y:2", "x:1", "y:2"}},
			{Tags: []eventstore.Tag{"z:3"}},
		},
	}))
}

func TestTheKeyOfAQueryForgetsOrderAndNothingElse(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune(`ab"[] ;:`)), 1, 3, -1)
	queries := rapid.Custom(func(t *rapid.T) eventstore.Query {
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eventstore.QueryItem {
			return eventstore.QueryItem{
				Types: rapid.SliceOfNDistinct(name, 0, 2, rapid.ID).Draw(t, "types"),
				Tags:  rapid.SliceOfNDistinct(rapid.Map(name, func(s string) eventstore.Tag { return eventstore.Tag(s) }), 0, 2, rapid.ID).Draw(t, "tags"),
			}
		}), 0, 3).Draw(t, "items")
		return eventstore.Query{Items: items}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := queries.Draw(t, "a"), queries.Draw(t, "b")
		assert.Equal(t, queryKey(a), queryKey(shuffled(a)))
		assert.Equal(t, sameItems(a, b), queryKey(a) == queryKey(b))
	})
}

func shuffled(q eventstore.Query) eventstore.Query {
	items := make([]eventstore.QueryItem, len(q.Items))
	for to, from := range rand.Perm(len(q.Items)) {
		items[to] = q.Items[from]
	}
	return eventstore.Query{Items: items}
}

// sameItems compares queries as sets of items, the slow way.
func sameItems(a, b eventstore.Query) bool {
	return subset(a.Items, b.Items, sameItem) && subset(b.Items, a.Items, sameItem)
}

func sameItem(a, b eventstore.QueryItem) bool {
	return subset(a.Types, b.Types, equal) && subset(b.Types, a.Types, equal) &&
		subset(a.Tags, b.Tags, equal) && subset(b.Tags, a.Tags, equal)
}

func equal[T comparable](a, b T) bool { return a == b }

func subset[T any](a, b []T, same func(T, T) bool) bool {
	for _, x := range a {
		found := false
		for _, y := range b {
			found = found || same(x, y)
		}
		if !found {
			return false
		}
	}
	return true
}
