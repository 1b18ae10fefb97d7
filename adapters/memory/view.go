package memory

import (
	"iter"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// view is the log as it was at one moment, seen through a query.
type view struct {
	log   []eventstore.Recorded
	query eventstore.Query

	// candidates hold, item by item, the positions of the item's rarest tag. They are
	// used if every item of the query has a tag; else the log itself is scanned.
	candidates [][]eventstore.Position
}

func (s *Store) snapshot(query eventstore.Query) view {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.view(query)
}

// view is [Store.snapshot] for callers that hold the lock.
func (s *Store) view(query eventstore.Query) view {
	v := view{log: s.log, query: query}
	if !query.Tagged() {
		return v
	}
	for _, item := range query.Items {
		v.candidates = append(v.candidates, s.rarest(item.Tags))
	}
	return v
}

func (s *Store) rarest(tags []eventstore.Tag) []eventstore.Position {
	rarest := s.tagged[tags[0]]
	for _, tag := range tags[1:] {
		if at := s.tagged[tag]; len(at) < len(rarest) {
			rarest = at
		}
	}
	return rarest
}

func (v view) head() eventstore.Position { return eventstore.Position(len(v.log)) }

func (v view) anchor(at eventstore.Position) eventstore.Anchor {
	if at == 0 {
		return eventstore.Anchor{}
	}
	return eventstore.Anchor{Position: at, EventID: v.log[at-1].ID}
}

// end returns the last position that a read covers. A limit that cuts the read moves
// the end to the last event yielded: a checkpoint at the end must not pass by the rest.
func (v view) end(query eventstore.LogQuery) eventstore.Position {
	through := v.head()
	if query.Through != 0 {
		through = min(query.Through, through)
	}
	if query.Limit == 0 {
		return through
	}
	seen := 0
	for position := range v.matches(query.After, through) {
		if seen++; seen == query.Limit {
			return position
		}
	}
	return through
}

// matches yields the positions of the matching events with after < position <= through.
func (v view) matches(after, through eventstore.Position) iter.Seq[eventstore.Position] {
	return func(yield func(eventstore.Position) bool) {
		for position := range v.possible(after, through) {
			if v.query.Matches(v.log[position-1].EventData) && !yield(position) {
				return
			}
		}
	}
}

func (v view) possible(after, through eventstore.Position) iter.Seq[eventstore.Position] {
	if !v.query.Tagged() {
		return between(after, through)
	}
	lists := make([][]eventstore.Position, len(v.candidates))
	for n, list := range v.candidates {
		from, _ := slices.BinarySearch(list, after+1)
		to, _ := slices.BinarySearch(list, through+1)
		lists[n] = list[from:max(from, to)]
	}
	return merged(lists)
}

func between(after, through eventstore.Position) iter.Seq[eventstore.Position] {
	return func(yield func(eventstore.Position) bool) {
		for position := after + 1; position <= through; position++ {
			if !yield(position) {
				return
			}
		}
	}
}

// merged yields the positions of sorted lists in order, each once.
func merged(lists [][]eventstore.Position) iter.Seq[eventstore.Position] {
	return func(yield func(eventstore.Position) bool) {
		rest := slices.Clone(lists)
		for {
			next := smallestHead(rest)
			if next == 0 || !yield(next) {
				return
			}
			for n, list := range rest {
				if len(list) > 0 && list[0] == next {
					rest[n] = list[1:]
				}
			}
		}
	}
}

// smallestHead returns the smallest first element, 0 if every list is empty.
func smallestHead(lists [][]eventstore.Position) eventstore.Position {
	var smallest eventstore.Position
	for _, list := range lists {
		if len(list) > 0 && (smallest == 0 || list[0] < smallest) {
			smallest = list[0]
		}
	}
	return smallest
}
