package sqlite_test

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// findings are the rules that the log breaks, in words; none means that it is sound.
//
// They come from the log and from what the clients know, not from the code under test:
// every tried command stands there exactly once, whole, with its bytes, and, if it was
// acknowledged, where the receipt said; positions and versions have no gaps.
func findings(ctx context.Context, store eventstore.Store, tried map[string]eventstore.Position) ([]string, error) {
	read, err := store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return nil, err
	}
	var found []string
	versions := map[eventstore.StreamID]eventstore.Version{}
	placed := map[string][]eventstore.Position{}
	next := eventstore.Position(1)
	for e, err := range read.Events() {
		if err != nil {
			return nil, err
		}
		if e.Position != next {
			found = append(found, fmt.Sprintf("position %d where %d should be", e.Position, next))
		}
		next = e.Position + 1
		versions[e.Stream]++
		if e.Version != versions[e.Stream] {
			found = append(found, fmt.Sprintf("%s has version %d where %d should be", e.Stream, e.Version, versions[e.Stream]))
		}
		name := string(e.Data)
		placed[name] = append(placed[name], e.Position)
	}
	for _, name := range slices.Sorted(maps.Keys(tried)) {
		found = append(found, judge(name, placed[name], tried[name])...)
		delete(placed, name)
	}
	for name := range placed {
		found = append(found, fmt.Sprintf("%.40q is in the log and nobody tried it", name))
	}
	return found, nil
}

func judge(name string, placed []eventstore.Position, acked eventstore.Position) (found []string) {
	if len(placed) != eventsOf(name) {
		found = append(found, fmt.Sprintf("%s has %d events, want %d", name, len(placed), eventsOf(name)))
	}
	if len(placed) > 0 && acked != 0 && placed[len(placed)-1] != acked {
		found = append(found, fmt.Sprintf("%s ends at position %d, its receipt said %d", name, placed[len(placed)-1], acked))
	}
	return found
}
