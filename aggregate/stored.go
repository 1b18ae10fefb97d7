package aggregate

import (
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// storedQuery selects what the query asks for under all names by which it is stored: an event of
// the past may stand, among others, for one of a type that the query names.
//
// An append is refused by them too. While a program is replaced, the old one still appends events
// in the old shape, and a decision must not miss those.
func storedQuery(set *codec.Set, query eventstore.Query) eventstore.Query {
	stored := eventstore.Query{Items: slices.Clone(query.Items)}
	for n, item := range stored.Items {
		if len(item.Types) > 0 {
			stored.Items[n].Types = set.StoredAs(item.Types...)
		}
	}
	return stored
}

// selects reports whether the query asks for an event of the name that is a part of r.
func selects(query eventstore.Query, name string, r eventstore.Recorded) bool {
	asks := func(item eventstore.QueryItem) bool {
		missing := func(tag eventstore.Tag) bool { return !slices.Contains(r.Tags, tag) }
		return (len(item.Types) == 0 || slices.Contains(item.Types, name)) && !slices.ContainsFunc(item.Tags, missing)
	}
	return len(query.Items) == 0 || slices.ContainsFunc(query.Items, asks)
}
