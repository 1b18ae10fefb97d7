package aggregate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// queryKey returns the query as text that is equal for two queries exactly if they hold
// the same items, types and tags, in whatever order. Command ids are made of it and
// kept for ever, so the format is frozen.
//
// Names are quoted: a name may hold any printable character, and no list of names may
// read like another.
func queryKey(q eventstore.Query) string {
	items := make([]string, len(q.Items))
	for n, item := range q.Items {
		items[n] = fmt.Sprintf("types%q tags%q", sortedSet(item.Types), sortedSet(item.Tags))
	}
	return "query:" + strings.Join(sortedSet(items), ";")
}

// sortedSet returns the distinct values in order.
func sortedSet[T ~string](values []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}
