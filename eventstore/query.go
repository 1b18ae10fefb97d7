package eventstore

import (
	"slices"
	"strings"
)

// Query selects events of the log by type and tags. It matches an event that any
// of its items matches; a query without items matches every event.
type Query struct {
	Items []QueryItem
}

// QueryItem matches an event whose type is among Types (any type when Types is
// empty) and that carries all of Tags.
type QueryItem struct {
	Types []string
	Tags  []Tag
}

// Types returns a query for events of any of the types; without a type, for every event.
func Types(types ...string) Query { return Query{Items: []QueryItem{{Types: types}}} }

// Tagged returns a query for events that carry all of the tags; without a tag, for every
// event. For events that carry any of them, join queries with [Query.Or].
func Tagged(tags ...Tag) Query { return Query{Items: []QueryItem{{Tags: tags}}} }

// Or returns a query that matches what either query matches.
func (q Query) Or(other Query) Query {
	if q.MatchesAll() || other.MatchesAll() {
		return Query{}
	}
	return Query{Items: slices.Concat(q.Items, other.Items)}
}

// MatchesAll reports whether the query selects every event by construction.
func (q Query) MatchesAll() bool {
	return len(q.Items) == 0 || slices.ContainsFunc(q.Items, func(i QueryItem) bool {
		return len(i.Types) == 0 && len(i.Tags) == 0
	})
}

// Tagged reports whether every item names at least one tag, so that a store can
// answer the query from its tag index however long the log is.
func (q Query) Tagged() bool {
	return len(q.Items) > 0 && !slices.ContainsFunc(q.Items, func(i QueryItem) bool {
		return len(i.Tags) == 0
	})
}

// Matches reports whether the query selects the event.
func (q Query) Matches(e EventData) bool {
	return len(q.Items) == 0 || slices.ContainsFunc(q.Items, func(i QueryItem) bool {
		return i.Matches(e)
	})
}

// Matches reports whether the item selects the event.
func (i QueryItem) Matches(e EventData) bool {
	if len(i.Types) > 0 && !slices.Contains(i.Types, e.Type) {
		return false
	}
	for _, tag := range i.Tags {
		if !slices.Contains(e.Tags, tag) {
			return false
		}
	}
	return true
}

// String returns the query in words, for errors and logs.
func (q Query) String() string {
	if q.MatchesAll() {
		return "every event"
	}
	items := make([]string, len(q.Items))
	for n, item := range q.Items {
		items[n] = item.String()
	}
	return strings.Join(items, " or ")
}

// String returns the item in words, for errors and logs.
func (i QueryItem) String() string {
	tags := make([]string, len(i.Tags))
	for n, tag := range i.Tags {
		tags[n] = string(tag)
	}
	types := "any type"
	if len(i.Types) > 0 {
		types = strings.Join(i.Types, "|")
	}
	if len(tags) == 0 {
		return types
	}
	return types + " tagged " + strings.Join(tags, ",")
}
