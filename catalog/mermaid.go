package catalog

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mermaid returns the program as an event model, in the language of Mermaid (its diagram
// "eventmodeling", from 11.15 on): commands, the events by aggregate, the read models with the
// events that they are folded from, and the queries with the read models that they declare
// to read ([query.Reads]). A query stands where a screen would: it is what a screen asks.
//
// No arrow leads from a command to an event: which events it appends is decided by code. In names
// whatever the language does not allow is an underscore: order.placed is order_placed.
//
// Errors: more than 999 parts, which the language cannot number, and those of the events as
// [Catalog.AsyncAPI] has them.
func (c Catalog) Mermaid() ([]byte, error) {
	events, err := c.events()
	if err != nil {
		return nil, fmt.Errorf("Mermaid: %w", err)
	}
	m := eventModel{frames: map[string]int{}}
	for _, r := range c.Commands {
		m.add("cmd", r.Name, nil)
	}
	for _, name := range c.byAggregate(namesOf(events)) {
		m.add("evt", name, nil)
	}
	for _, p := range c.Projections {
		names, err := reads(p, events)
		if err != nil {
			return nil, fmt.Errorf("Mermaid: %w", err)
		}
		m.add("rmo", p.Registration().Name, m.framesOf("evt", names))
	}
	for _, r := range c.Queries {
		m.add("ui", r.Name, m.framesOf("rmo", r.Reads))
	}
	return m.text()
}

// byAggregate returns the names with those of one aggregate side by side.
func (c Catalog) byAggregate(names []string) []string {
	var sorted []string
	for _, a := range c.Aggregates {
		sorted = append(sorted, namesOf(a.Events())...)
	}
	for _, name := range names {
		if !slices.Contains(sorted, name) {
			sorted = append(sorted, name)
		}
	}
	return slices.Compact(sorted)
}

// eventModel is a diagram under construction. A frame is a place on its time line.
type eventModel struct {
	lines  []string
	frames map[string]int // by kind and name
}

const maxFrames = 999 // numbers of frames have three digits at most

// add draws a frame. It begins a flow of its own ("rf"): with "tf" Mermaid would guess where it
// comes from.
func (m *eventModel) add(kind, name string, from []int) {
	line := fmt.Appendf(nil, "rf %03d %s %s", len(m.lines)+1, kind, identifier(name))
	for _, frame := range from {
		line = fmt.Appendf(line, " ->> %03d", frame)
	}
	m.lines = append(m.lines, string(line))
	m.frames[kind+" "+name] = len(m.lines)
}

// framesOf returns the frames of those that are drawn.
func (m *eventModel) framesOf(kind string, names []string) []int {
	var frames []int
	for _, name := range names {
		if frame, drawn := m.frames[kind+" "+name]; drawn {
			frames = append(frames, frame)
		}
	}
	slices.Sort(frames)
	return frames
}

func (m *eventModel) text() ([]byte, error) {
	if len(m.lines) > maxFrames {
		return nil, fmt.Errorf("Mermaid: an event model has %d parts at most, the catalog has %d: divide it", maxFrames, len(m.lines))
	}
	var out bytes.Buffer
	out.WriteString("eventmodeling\n\n")
	for _, line := range m.lines {
		out.WriteString(line + "\n")
	}
	return out.Bytes(), nil
}

var (
	noLetter = regexp.MustCompile(`[^A-Za-z0-9_]+`)
	// reserved are the words of the language; those that start a line are taken for it in any place.
	reserved = regexp.MustCompile(`^([0-9].*|(title|accTitle|accDescr).*|eventmodeling|rmo|readmodel|ui|cmd|command|evt|event|pcr|processor|` +
		`json|jsobj|figma|salt|uri|md|html|text|tf|timeframe|rf|resetframe|entity|data|note|gwt|given|when|then)?$`)
)

// identifier returns the name as the language allows it. A dot would be allowed, but draws a lane
// for each of the names.
func identifier(name string) string {
	id := strings.Trim(noLetter.ReplaceAllString(name, "_"), "_")
	if reserved.MatchString(id) {
		return "_" + id
	}
	return id
}
