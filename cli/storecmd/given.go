package storecmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
)

// given are the events of a command line: one of its flags, or those of standard input.
type given struct {
	name, data    string
	schemaVersion int
	tags          []string
}

func (g *given) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.name, "type", "", "type of the one event, such as order.placed; without it events are read from standard input")
	cmd.Flags().StringVar(&g.data, "data", "", "payload of the one event: JSON, @FILE, or - for standard input; none: no payload")
	cmd.Flags().IntVar(&g.schemaVersion, "schema-version", 1, "schema version of the one event")
	cmd.Flags().StringArrayVar(&g.tags, "tag", nil, "tag of the one event, as customer:17; may be repeated")
}

// givenEvent is a line of standard input.
type givenEvent struct {
	Type          string           `json:"type"`
	SchemaVersion int              `json:"schema_version"`
	Tags          []eventstore.Tag `json:"tags"`
	Metadata      json.RawMessage  `json:"metadata"`
	Data          json.RawMessage  `json:"data"`
}

func (e givenEvent) asData() eventstore.EventData {
	return eventstore.EventData{Type: e.Type, SchemaVersion: e.SchemaVersion, Tags: e.Tags, Metadata: e.Metadata, Data: e.Data}
}

func (g *given) events(cmd *cobra.Command) ([]eventstore.EventData, error) {
	if cmd.Flags().Changed("type") {
		return g.one(cmd.InOrStdin())
	}
	for _, flag := range []string{"data", "tag", "schema-version"} {
		if cmd.Flags().Changed(flag) {
			return nil, fmt.Errorf("--%s is for one event: say its --type too", flag)
		}
	}
	if isTerminal(cmd.InOrStdin()) {
		return nil, errors.New("say --type and --data of one event, or send events on standard input, an object a line")
	}
	return readEvents(cmd.InOrStdin())
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (g *given) one(stdin io.Reader) ([]eventstore.EventData, error) {
	data, err := g.payload(stdin)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	e := givenEvent{Type: g.name, SchemaVersion: g.schemaVersion, Data: data}
	for _, tag := range g.tags {
		e.Tags = append(e.Tags, eventstore.Tag(tag))
	}
	if e.SchemaVersion == 0 {
		return nil, errors.New("--schema-version starts at 1")
	}
	return []eventstore.EventData{e.asData()}, nil
}

// payload reads --data.
func (g *given) payload(stdin io.Reader) (text []byte, err error) {
	file, isFile := strings.CutPrefix(g.data, "@")
	switch {
	case g.data == "":
		return nil, nil
	case isFile:
		text, err = os.ReadFile(file)
	case g.data == "-":
		text, err = io.ReadAll(io.LimitReader(stdin, eventstore.MaxAppendBytes+1)) // which is refused for its size
	default:
		text = []byte(g.data)
	}
	if err != nil {
		return nil, err
	}
	if text = bytes.TrimSpace(text); !json.Valid(text) {
		return nil, errors.New("the payload is no JSON")
	}
	return text, nil
}

// readEvents reads an event a line. Empty lines are none.
func readEvents(in io.Reader) (events []eventstore.EventData, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 2*eventstore.MaxAppendBytes)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		e, err := readEvent(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of standard input: %w", n, err)
		}
		if events = append(events, e.asData()); len(events) > eventstore.MaxEvents {
			break // which is refused for their number
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(events) == 0 {
		return nil, errors.New("there are no events on standard input; for one event say --type")
	}
	return events, nil
}

func readEvent(line []byte) (e givenEvent, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields() // what is misspelt would be missing in the log for ever
	if err := decoder.Decode(&e); err != nil {
		return e, err
	}
	if decoder.More() {
		return e, errors.New("it is more than one object")
	}
	if e.Type == "" {
		return e, errors.New(`it has no "type"`)
	}
	return e, nil
}
