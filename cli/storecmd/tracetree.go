package storecmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/list"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

// tree shows a conversation for people: every event below what caused it.
func tree(found traced) string {
	first, last := found.Events[0], found.Events[len(found.Events)-1]
	streams, ids := map[eventstore.StreamID]bool{}, map[string]bool{}
	for _, e := range found.Events {
		streams[e.Stream] = true
		ids[e.ID.String()] = true
	}
	effects := map[string][]tracedEvent{}
	for _, e := range found.Events {
		effects[e.Causation] = append(effects[e.Causation], e)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s events in %s streams, from %s\n", cli.Printable(found.ID),
		cli.Thousands(len(found.Events)), cli.Thousands(len(streams)), first.RecordedAt.UTC().Format(time.RFC3339Nano))
	if took := last.RecordedAt.Sub(first.RecordedAt); took > 0 {
		fmt.Fprintf(&out, "the last one %v later\n", took)
	}
	shown := list.NewWriter()
	shown.SetStyle(list.StyleConnectedRounded)
	root := func(e tracedEvent) {
		if len(effects[e.Causation]) > 0 {
			shown.AppendItem(cause(e.Causation))
			branch(shown, effects, e.Causation, first.RecordedAt)
		}
	}
	for _, e := range found.Events {
		if !ids[e.Causation] {
			root(e)
		}
	}
	for _, e := range found.Events { // whose causes go round in a circle, because somebody wrote them so
		root(e)
	}
	fmt.Fprintln(&out, shown.Render())
	return out.String()
}

// branch adds what an id caused, below it, and takes it out of the effects: each event is shown once.
func branch(shown list.Writer, effects map[string][]tracedEvent, of string, start time.Time) {
	below := effects[of]
	delete(effects, of)
	shown.Indent()
	for _, e := range below {
		shown.AppendItem(line(e, start))
		branch(shown, effects, e.ID.String(), start)
	}
	shown.UnIndent()
}

func cause(id string) string {
	if id == "" {
		return "(no cause given)"
	}
	return "caused by " + cli.Printable(id)
}

func line(e tracedEvent, start time.Time) string {
	text := fmt.Sprintf("%s  %s@%d", e.Type, e.Stream, e.Version)
	if e.Command != "" {
		text += "  " + cli.Printable(e.Command)
	}
	if e.Actor != "" {
		text += "  by " + cli.Printable(e.Actor)
	}
	return fmt.Sprintf("%s  +%v  position %d", text, e.RecordedAt.Sub(start), e.Position)
}
