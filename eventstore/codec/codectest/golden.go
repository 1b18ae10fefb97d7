package codectest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// WriteEnv is the environment variable that has [Golden] write files: set it to 1.
const WriteEnv = "LEFTFOLD_WRITE_GOLDEN"

// Golden checks the events of a set against the golden files in a directory, such as
// testdata/events. A payload's file is named
//
//	order.placed.v2.json        event type, schema version
//	order.placed.v2.gift.json   and a name, where a version has several
//
// with the end .bin if the payload is not JSON. It holds a payload byte for byte as some build has
// stored it, and is never edited. Beside it order.placed.v2.decoded holds what it is decoded as
// today, each event on a line. Golden fails if
//
//   - a version of an event, the old ones too, has no golden payload;
//   - a golden payload does not decode, or decodes to something else than before, or loses
//     something on the way ([codec.Set.Losses]);
//   - an example is not encoded as it was: the shape of a schema version has changed, and in the log
//     there are events with the old shape;
//   - a file is of an event or version that the set does not know, though the log may hold some.
//
// Examples are values of the set's current types, by the name of their file; one for each type is
// enough, and its name may be empty:
//
//	codectest.Golden(t, events, "testdata/events", codectest.Example{Event: order.Placed{…}})
//
// With [WriteEnv] it writes the files that are missing: payloads of examples, and how everything is
// decoded now. It never changes a payload. So a new schema version shows in a review as new
// files, and as changes in what the old ones decode to.
func Golden(t testing.TB, events *codec.Set, dir string, examples ...Example) {
	t.Helper()
	g := golden{t: t, events: events, dir: dir, writes: os.Getenv(WriteEnv) == "1", shapes: map[codec.Shape]bool{}}
	g.encodeAll(examples)
	g.decodeAll()
	g.missing()
}

// Example is an event to encode. Name tells several of one type apart; none of them has a dot.
type Example struct {
	Name  string
	Event any
}

type golden struct {
	t      testing.TB
	events *codec.Set
	dir    string
	writes bool
	shapes map[codec.Shape]bool // that have a golden payload
}

// encodeAll holds the examples against their files.
func (g *golden) encodeAll(examples []Example) {
	g.t.Helper()
	for _, example := range examples {
		data, err := g.events.Encode(example.Event)
		if err != nil {
			g.t.Errorf("example %q: %v", example.Name, err)
			continue
		}
		g.encoded(example.Name, data)
	}
}

func (g *golden) encoded(name string, data eventstore.EventData) {
	g.t.Helper()
	base := fmt.Sprintf("%s.v%d", data.Type, data.SchemaVersion)
	if name != "" {
		base += "." + name
	}
	file := filepath.Join(g.dir, base+".bin")
	if json.Valid(data.Data) {
		file = filepath.Join(g.dir, base+".json")
	}
	stored, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && g.writes:
		g.write(file, data.Data)
	case errors.Is(err, os.ErrNotExist):
		g.t.Errorf("there is no %s: run the test with %s=1, look at the file, and commit it", file, WriteEnv)
	case err != nil:
		g.t.Error(err)
	case !bytes.Equal(payload(file, stored), data.Data):
		g.t.Errorf("%s has changed without a new schema version. %s has\n\t%s\nand this build writes\n\t%s\n"+
			"The log holds events in the old shape. Give the event codec.Version(%d) and codec.Upcast(%d, …) from the type as it was; or undo the change. "+
			"If version %[6]d has never been written to a log that matters, remove the file and run the test with %[7]s=1",
			base, file, shown(payload(file, stored)), shown(data.Data), data.SchemaVersion+1, data.SchemaVersion, WriteEnv)
	}
}

// payload returns what was stored: an editor may have put a newline behind a JSON text.
func payload(file string, content []byte) []byte {
	if filepath.Ext(file) == ".json" {
		return bytes.TrimSuffix(content, []byte("\n"))
	}
	return content
}

// decodeAll decodes every golden payload.
func (g *golden) decodeAll() {
	g.t.Helper()
	for _, f := range files(g.t, g.dir) {
		shape, known := g.shapeOf(f)
		if !known {
			g.t.Errorf("%s is of an event or schema version that the set does not know. The log may hold some: keep it, by codec.Retired if it is not written any more", f.path)
			continue
		}
		g.shapes[shape] = true
		g.decoded(f)
	}
}

func (g *golden) shapeOf(f file) (codec.Shape, bool) {
	for _, shape := range g.events.Shapes() {
		if shape.Type == f.name && shape.SchemaVersion == f.version {
			return shape, true
		}
	}
	return codec.Shape{}, false
}

func (g *golden) decoded(f file) {
	g.t.Helper()
	r := f.recorded()
	values, err := g.events.Decode(r)
	if err != nil {
		g.t.Errorf("%s: %v", f.path, err)
		return
	}
	losses, err := g.events.Losses(r)
	if err != nil && !errors.Is(err, codec.ErrLossUnknown) {
		g.t.Errorf("%s: %v", f.path, err)
	}
	for _, loss := range losses {
		g.t.Errorf("%s loses something when it is decoded: %s. Give the type of this schema version what it had", f.path, loss)
	}
	g.compare(f, g.text(values))
}

// compare holds what a payload is decoded as against what it was.
func (g *golden) compare(f file, now string) {
	g.t.Helper()
	before, err := os.ReadFile(f.decodedPath())
	switch {
	case err == nil && string(before) == now:
	case g.writes:
		g.write(f.decodedPath(), []byte(now))
	case errors.Is(err, os.ErrNotExist):
		g.t.Errorf("there is no %s: run the test with %s=1, look at the file, and commit it", f.decodedPath(), WriteEnv)
	case err != nil:
		g.t.Error(err)
	default:
		g.t.Errorf("%s is decoded as\n%sand it was\n%sIf that is what you want, run the test with %s=1, look at %s, and commit it",
			f.path, indented(now), indented(string(before)), WriteEnv, f.decodedPath())
	}
}

// text writes events down as they would be stored now, which any build can compare.
func (g *golden) text(values []any) string {
	if len(values) == 0 {
		return "(nothing)\n"
	}
	var lines strings.Builder
	for _, value := range values {
		data, err := g.events.Encode(value)
		if err != nil {
			g.t.Errorf("%s: %v", reflect.TypeOf(value), err)
		}
		fmt.Fprintf(&lines, "%s v%d %s\n", data.Type, data.SchemaVersion, shown(data.Data))
	}
	return lines.String()
}

// missing names the shapes that have no golden payload.
func (g *golden) missing() {
	g.t.Helper()
	for _, shape := range g.events.Shapes() {
		switch {
		case g.shapes[shape]:
		case shape.Current && !g.writes:
			g.t.Errorf("event %s has no golden payload of version %d, which is written now: give Golden an example of %s", shape.Type, shape.SchemaVersion, shape.GoType)
		case shape.Current: // encoded has just written it, or said why not
		default:
			g.t.Errorf("event %s has no golden payload of version %d: take one from a log (leftfold schema census says where they are) or from the tests of that time, and put it into %s",
				shape.Type, shape.SchemaVersion, filepath.Join(g.dir, fmt.Sprintf("%s.v%d.json", shape.Type, shape.SchemaVersion)))
		}
	}
}

func (g *golden) write(file string, content []byte) {
	g.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644)); err != nil {
		g.t.Error(err)
		return
	}
	g.t.Logf("wrote %s", file)
}

func indented(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n\t") + "\n"
}

// shown returns a payload as text; bytes that are none in hexadecimal.
func shown(data []byte) string {
	if json.Valid(data) {
		var compact bytes.Buffer
		if json.Compact(&compact, data) == nil {
			return compact.String()
		}
	}
	return fmt.Sprintf("%x", data)
}
