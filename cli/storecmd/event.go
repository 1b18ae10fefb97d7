package storecmd

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

// shownEvent is an event as programs get it. A payload that is no JSON is in base64.
type shownEvent struct {
	Position       eventstore.Position `json:"position"`
	Stream         eventstore.StreamID `json:"stream"`
	Version        eventstore.Version  `json:"version"`
	ID             eventstore.EventID  `json:"id"`
	Type           string              `json:"type"`
	SchemaVersion  int                 `json:"schema_version"`
	RecordedAt     time.Time           `json:"recorded_at"`
	Tags           []eventstore.Tag    `json:"tags,omitempty"`
	Metadata       json.RawMessage     `json:"metadata,omitempty"`
	MetadataBase64 string              `json:"metadata_base64,omitempty"`
	Data           json.RawMessage     `json:"data,omitempty"`
	DataBase64     string              `json:"data_base64,omitempty"`
}

func shown(e eventstore.Recorded) shownEvent {
	s := shownEvent{
		Position: e.Position, Stream: e.Stream, Version: e.Version, ID: e.ID, Type: e.Type,
		SchemaVersion: e.SchemaVersion, RecordedAt: e.RecordedAt, Tags: e.Tags,
	}
	s.Metadata, s.MetadataBase64 = asJSON(e.Metadata)
	s.Data, s.DataBase64 = asJSON(e.Data)
	return s
}

func asJSON(content []byte) (json.RawMessage, string) {
	if len(content) == 0 || json.Valid(content) && utf8.Valid(content) {
		return content, ""
	}
	return nil, base64.StdEncoding.EncodeToString(content)
}

// clock is how times are shown to people.
func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.000") }

func tagsOf(e eventstore.Recorded) string {
	texts := make([]string, len(e.Tags))
	for n, tag := range e.Tags {
		texts[n] = string(tag)
	}
	return strings.Join(texts, " ")
}

// listed prints events in one of three forms. End it with done.
type listed struct {
	out     io.Writer
	form    cli.Output
	payload bool // for people: below each event
	all     []eventstore.Recorded
}

func (l *listed) add(e eventstore.Recorded) error {
	if l.form == cli.JSONLines {
		return cli.NewEncoder(l.out).Encode(shown(e))
	}
	l.all = append(l.all, e)
	return nil
}

// done prints what is not printed yet, under a title for people and beside its fields for programs.
func (l *listed) done(title string, withStream bool, fields map[string]any) error {
	switch l.form {
	case cli.JSONLines:
		return nil
	case cli.JSON:
		events := make([]shownEvent, len(l.all))
		for n, e := range l.all {
			events[n] = shown(e)
		}
		fields["events"] = events
		return cli.PrintJSON(l.out, fields)
	}
	if l.payload {
		return l.pretty(title)
	}
	header, left := cli.Row{"type", "recorded at (UTC)", "version", "position"}, 2
	if withStream {
		header, left = append(cli.Row{"stream"}, header...), 3
	}
	var rows []cli.Row
	for _, e := range l.all {
		row := cli.Row{cli.Printable(e.Type), clock(e.RecordedAt), cli.Thousands(e.Version), cli.Thousands(e.Position)}
		if withStream {
			row = append(cli.Row{cli.Snip(cli.Printable(string(e.Stream)), 40)}, row...)
		}
		rows = append(rows, row)
	}
	cli.NewPrinter(l.out).Table(title, left, header, rows)
	return nil
}

// pretty prints the events with all that is in them.
func (l *listed) pretty(title string) error {
	fmt.Fprintf(l.out, "\n%s\n", title)
	for _, e := range l.all {
		fmt.Fprintf(l.out, "\n%s  %s@%d  position %d  %s\n", cli.Printable(e.Type), cli.Printable(string(e.Stream)), e.Version, e.Position, clock(e.RecordedAt))
		fmt.Fprintf(l.out, "  id %s, schema version %d\n", e.ID, e.SchemaVersion)
		if len(e.Tags) > 0 {
			fmt.Fprintf(l.out, "  tags %s\n", cli.Printable(tagsOf(e)))
		}
		l.part("metadata", e.Metadata)
		l.part("data", e.Data)
	}
	return nil
}

func (l *listed) part(name string, content []byte) {
	if len(content) == 0 {
		return
	}
	var value any
	asIs, encoded := asJSON(content)
	decoder := json.NewDecoder(strings.NewReader(string(asIs)))
	decoder.UseNumber() // numbers of 64 bits are shown as they are
	if encoded != "" || decoder.Decode(&value) != nil {
		fmt.Fprintf(l.out, "  %s %s\n", name, cli.Snip(cli.Printable(string(content)), 200))
		return
	}
	text, err := json.MarshalIndent(value, "  ", "  ")
	if err != nil {
		return
	}
	var lines []string
	for text := range strings.SplitSeq(string(text), "\n") {
		lines = append(lines, cli.Printable(text))
	}
	fmt.Fprintf(l.out, "  %s %s\n", name, strings.Join(lines, "\n"))
}
