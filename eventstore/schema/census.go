package schema

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/leftfold/leftfold/eventstore"
)

// Census is what a log holds, by event type and schema version.
type Census struct {
	Through eventstore.Position `json:"through"` // the end of the log when it was taken
	Events  int64               `json:"events"`
	Shapes  []Shape             `json:"shapes"` // in the order of types and then versions
}

// Shape is all events of one type in one schema version.
type Shape struct {
	Type          string              `json:"type"`
	SchemaVersion int                 `json:"schema_version"`
	Events        int64               `json:"events"`
	First         eventstore.Position `json:"first"`
	Last          eventstore.Position `json:"last"`
	// Samples are the positions of the first event, the second, the fourth, and so on.
	Samples []eventstore.Position `json:"samples"`
}

// Take takes a census of the log. The store's own events, whose types start with $, are counted
// too. progress, which may be nil, is told now and then which position has been read, and which one is
// the last. Errors are those of reading the log.
func Take(ctx context.Context, log eventstore.LogReader, progress func(done, through eventstore.Position)) (Census, error) {
	count := counting{shapes: map[shapeOf]*Shape{}}
	through, err := readAll(ctx, log, eventstore.Query{}, progress, func(r eventstore.Recorded) { count.add(r) })
	if err != nil {
		return Census{}, fmt.Errorf("take a census of the log: %w", err)
	}
	census := Census{Through: through, Events: count.events, Shapes: []Shape{}}
	for _, s := range count.shapes {
		census.Shapes = append(census.Shapes, *s)
	}
	slices.SortFunc(census.Shapes, Shape.compare)
	return census, nil
}

const progressEvery = 10_000

// readAll calls each with every event of the query, and returns the end of the log.
func readAll(ctx context.Context, log eventstore.LogReader, query eventstore.Query, progress func(done, through eventstore.Position), each func(eventstore.Recorded)) (eventstore.Position, error) {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: query})
	if err != nil {
		return 0, err
	}
	through, n := read.Through.Position, 0
	for r, err := range read.Events() {
		if err != nil {
			return 0, err
		}
		each(r)
		if n++; n%progressEvery == 0 && progress != nil {
			progress(r.Position, through)
		}
	}
	if progress != nil {
		progress(through, through)
	}
	return through, nil
}

type shapeOf struct {
	name    string
	version int
}

// counting is a census under way.
type counting struct {
	shapes map[shapeOf]*Shape
	events int64
}

func (c *counting) add(r eventstore.Recorded) *Shape {
	c.events++
	of := shapeOf{r.Type, r.SchemaVersion}
	s := c.shapes[of]
	if s == nil {
		s = &Shape{Type: r.Type, SchemaVersion: r.SchemaVersion, First: r.Position}
		c.shapes[of] = s
	}
	s.Events++
	s.Last = r.Position
	if s.Events&(s.Events-1) == 0 {
		s.Samples = append(s.Samples, r.Position)
	}
	return s
}

func (s Shape) compare(o Shape) int {
	return cmp.Or(cmp.Compare(s.Type, o.Type), cmp.Compare(s.SchemaVersion, o.SchemaVersion))
}

// Print writes the census as a table.
func (c Census) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "event type\tversion\tevents\tfirst\tlast\tsome are at")
	for _, s := range c.Shapes {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", s.Type, s.SchemaVersion, s.Events, s.First, s.Last, s.Some())
	}
	return t.Flush()
}

// Some returns up to three of the samples as text, the latest of them.
func (s Shape) Some() string {
	text := fmt.Sprint(s.Samples[max(0, len(s.Samples)-3):])
	return text[1 : len(text)-1]
}
