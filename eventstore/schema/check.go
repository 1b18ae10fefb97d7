package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// CheckOptions are the choices of [Check]. The zero value works.
type CheckOptions struct {
	// All decodes every event. Default: of each shape the first 100, then fewer and fewer, about
	// 100 each time that their number has doubled, and the last.
	All bool
	// Query selects the events that this program has to read, where it shares the store with
	// others. Default: every event.
	Query eventstore.Query
	// OnProgress is told now and then which position has been read, and which one is the last.
	// Default: nobody is.
	OnProgress func(done, through eventstore.Position)
}

// Report is what [Check] has found.
type Report struct {
	Through eventstore.Position `json:"through"` // the end of the log when it was checked
	Shapes  []Checked           `json:"shapes"`  // in the order of types and then versions
}

// Checked is a shape of events, and how this program reads it.
type Checked struct {
	Shape

	Decoded int64 `json:"decoded"` // so many of the events were tried
	Failed  int64 `json:"failed"`  // of them; see Findings
	// LossUnknown says that the format of the events cannot tell what is lost ([codec.LossFinder]).
	LossUnknown bool `json:"loss_unknown,omitempty"`
	// Findings are what is wrong with the first events that failed, at most 10.
	Findings []Finding `json:"findings"`
}

// Finding is something of a stored event that this program cannot read, or would lose.
type Finding struct {
	Type          string              `json:"type"`
	SchemaVersion int                 `json:"schema_version"`
	Stream        eventstore.StreamID `json:"stream"`
	Version       eventstore.Version  `json:"version"`
	Position      eventstore.Position `json:"position"`
	Field         string              `json:"field,omitempty"` // that is lost; empty if it is the whole
	Why           string              `json:"why"`
}

func (f Finding) String() string {
	what := f.Why
	if f.Field != "" {
		what = f.Field + ": " + f.Why
	}
	return fmt.Sprintf("%s (schema version %d) at position %d, version %d of %s: %s", f.Type, f.SchemaVersion, f.Position, f.Version, f.Stream, what)
}

// Check decodes the log's events with the set, those of each shape that [CheckOptions] says. An event
// that cannot be decoded is found, and so is one that loses something on the way into its Go type: a
// field that the type does not have, a number that it cannot hold (see [codec.Set.Losses]). The
// store's own events are passed over.
//
// What is found is in the report; [Report.Err] makes an error of it. The error of Check says that the
// log could not be read.
func Check(ctx context.Context, log eventstore.LogReader, events *codec.Set, o CheckOptions) (Report, error) {
	c := checking{events: events, all: o.All, checked: map[*Shape]*shape{}, counting: counting{shapes: map[shapeOf]*Shape{}}}
	through, err := readAll(ctx, log, o.Query, o.OnProgress, c.see)
	if err != nil {
		return Report{}, fmt.Errorf("check the log: %w", err)
	}
	report := Report{Through: through, Shapes: []Checked{}}
	for counted, s := range c.checked {
		if s.last != nil {
			c.check(&s.Checked, *s.last)
		}
		s.Shape = *counted
		report.Shapes = append(report.Shapes, s.Checked)
	}
	slices.SortFunc(report.Shapes, func(a, b Checked) int { return a.compare(b.Shape) })
	return report, nil
}

// checking is a check under way.
type checking struct {
	counting

	events  *codec.Set
	all     bool
	checked map[*Shape]*shape
}

type shape struct {
	Checked

	last *eventstore.Recorded // if it was not decoded
}

const (
	eachOf      = 100 // events of a shape, before some are passed over
	maxFindings = 10
)

func (c *checking) see(r eventstore.Recorded) {
	if strings.HasPrefix(r.Type, "$") {
		return
	}
	counted := c.add(r)
	s := c.checked[counted]
	if s == nil {
		s = &shape{Checked: Checked{Findings: []Finding{}}}
		c.checked[counted] = s
	}
	s.last = nil
	if c.all || isSample(counted.Events) {
		c.check(&s.Checked, r)
	} else {
		s.last = &r
	}
}

// isSample reports whether to decode the n-th event of a shape: one in 2^k of those from
// eachOf × 2^k on.
func isSample(n int64) bool {
	every := int64(1) << max(0, bits.Len64(uint64(n/eachOf))-1)
	return n%every == 0
}

func (c *checking) check(s *Checked, r eventstore.Recorded) {
	s.Decoded++
	found := c.findings(s, r)
	if len(found) == 0 {
		return
	}
	s.Failed++
	s.Findings = append(s.Findings, found[:min(len(found), maxFindings-len(s.Findings))]...)
}

func (c *checking) findings(s *Checked, r eventstore.Recorded) (found []Finding) {
	find := func(field, why string) {
		found = append(found, Finding{r.Type, r.SchemaVersion, r.Stream, r.Version, r.Position, field, why})
	}
	if _, err := c.events.Decode(r); err != nil {
		find("", cause(err))
		return found
	}
	losses, err := c.events.Losses(r)
	switch {
	case errors.Is(err, codec.ErrLossUnknown):
		s.LossUnknown = true
	case err != nil:
		find("", cause(err))
	}
	for _, l := range losses {
		find(l.Field, l.Why)
	}
	return found
}

// cause leaves out where the event is: the finding says so already.
func cause(err error) string {
	if failed, is := errors.AsType[*codec.DecodeError](err); is {
		return failed.Err.Error()
	}
	if errors.Is(err, codec.ErrUnknownType) {
		return "this build does not know the type: register it, or keep it with codec.Retired"
	}
	return err.Error()
}

// Err returns nil if nothing was found, and else an error that names the first event and says how
// many shapes are concerned.
func (r Report) Err() error {
	var first *Finding
	failed := 0
	for n := range r.Shapes {
		if s := &r.Shapes[n]; s.Failed > 0 {
			failed++
			if first == nil {
				first = &s.Findings[0]
			}
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("this build cannot read %d of the %d shapes of events in the log, or would lose something: %s", failed, len(r.Shapes), first)
}

// Print writes the report as a table, and below it what was found.
func (r Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "event type\tversion\tevents\tfirst\tlast\tdecoded\tresult")
	for _, s := range r.Shapes {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", s.Type, s.SchemaVersion, s.Events, s.First, s.Last, s.Decoded, s.result())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Shapes {
		for _, f := range s.Findings {
			if _, err := fmt.Fprintf(w, "FAILED: %s\n", f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c Checked) result() string {
	switch {
	case c.Failed > 0:
		return fmt.Sprintf("%d fail", c.Failed)
	case c.LossUnknown:
		return "decodes; its format cannot say what is lost"
	default:
		return "ok"
	}
}
