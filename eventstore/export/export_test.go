package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/export"
)

// payloads are what a form of text may spoil.
var payloads = [][]byte{
	nil, []byte(`{"total": 17,  "of":"a\u003cb <&>"}`), []byte(`null`), []byte(`"text"`), []byte(` {"spaces":"around"} `), []byte("{\n}"), []byte(`{"a":1,"a":2}`),
	[]byte("\"line\u2028separator\""), []byte("\x00\xff"), []byte("\"\xff\""), []byte("9007199254740993"), []byte("not JSON"), []byte("true\r"),
}

func filled(t testing.TB) *memory.Store {
	t.Helper()
	store := memory.NewStore()
	for n, payload := range payloads {
		request := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: eventstore.NewStreamID("order", fmt.Sprint(n%3)), Events: []eventstore.EventData{
			{Type: "order.\u00e4ndert<&>", SchemaVersion: n + 1, Data: payload, Metadata: payloads[len(payloads)-1-n]},
			{Type: "plain", Tags: []eventstore.Tag{"customer:\"b\"", "a:1"}},
		}}}}
		if n%2 == 0 {
			request.Command = eventstore.Command{ID: eventstore.NewCommandID(fmt.Sprint(n)), Hash: eventstore.HashCommand("c", payload)}
		}
		_, err := store.Append(t.Context(), request)
		require.NoError(t, err)
	}
	_, err := store.DeleteStream(t.Context(), "order-1", eventstore.Any)
	require.NoError(t, err)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Command: eventstore.Command{ID: eventstore.NewCommandID("nothing")}})
	require.NoError(t, err)
	return store
}

func written(t testing.TB, store eventstore.LogReader) (string, export.Summary) {
	t.Helper()
	var file bytes.Buffer
	s, err := export.Write(t.Context(), &file, store, export.Options{})
	require.NoError(t, err)
	return file.String(), s
}

func TestAnExportOfWhatWasImportedIsTheSameFile(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]*memory.Store{"a log": filled(t), "an empty log": memory.NewStore()} {
		file, wrote := written(t, source)
		seen, err := export.Verify(t.Context(), strings.NewReader(file), nil)
		require.NoError(t, err, name)
		assert.Equal(t, wrote, seen)
		target := memory.NewStore()
		took, err := export.Import(t.Context(), target, strings.NewReader(file), nil)
		require.NoError(t, err)
		assert.Equal(t, wrote, took)
		again, _ := written(t, target)
		assert.Equal(t, file, again)
		_, err = target.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-2", Events: []eventstore.EventData{{Type: "next"}}}}})
		require.NoError(t, err)
	}
}

func TestAnExportKeepsPayloadsByteForByte(t *testing.T) {
	t.Parallel()
	file, _ := written(t, filled(t))
	target := memory.NewStore()
	_, err := export.Import(t.Context(), target, strings.NewReader(file), nil)
	require.NoError(t, err)
	read, err := target.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	n := 0
	for e, err := range read.Events() {
		require.NoError(t, err)
		if e.Type == "plain" || e.Type == eventstore.TombstoneType {
			continue
		}
		assert.Equal(t, string(payloads[n]), string(e.Data))
		assert.Equal(t, string(payloads[len(payloads)-1-n]), string(e.Metadata))
		n++
	}
	assert.Equal(t, len(payloads), n)
	assert.Contains(t, file, `"data":{"total": 17,  "of":"a\u003cb <&>"}`, "JSON stands as it is")
}

// It is as deep as JSON may be, and one deeper in its line.
func TestAnExportOfADeepPayloadCanBeReadBack(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "a-1", Events: []eventstore.EventData{
		{Type: "x", Data: []byte(deep)}, {Type: "x", Data: []byte(deep[1 : len(deep)-1])},
	}}}})
	require.NoError(t, err)
	file, _ := written(t, store)
	_, err = export.Verify(t.Context(), strings.NewReader(file), nil)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(file, "base64"))
}

// failingFile is a file whose device fails.
type failingFile struct{ io.Reader }

var errDevice = errors.New("input/output error")

func (f failingFile) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errDevice
	}
	return n, err
}

func TestAFileThatCannotBeReadIsNoWrongLine(t *testing.T) {
	t.Parallel()
	file, _ := written(t, filled(t))
	for _, n := range []int{0, 10, len(file) / 2, len(file)} {
		_, err := export.Verify(t.Context(), failingFile{strings.NewReader(file[:n])}, nil)
		require.Equal(t, errDevice, err, "after %d bytes", n)
	}
}

// Whichever byte is changed, the file is refused, and the line that is told is the one that was changed: what
// comes before it is right, and nothing behind it is looked at.
func TestAChangedByteIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	file, _ := written(t, filled(t))
	for n := 0; n < len(file); n += 13 { // every one takes ten times as long
		changed := []byte(file)
		changed[n] ^= 1
		_, err := export.Verify(context.Background(), bytes.NewReader(changed), nil)
		var wrong *export.LineError
		require.ErrorAs(t, err, &wrong, "byte %d", n)
		require.Equal(t, int64(strings.Count(file[:n], "\n")+1), wrong.Line, "byte %d: %v", n, err)
	}
}

func TestAFileThatWasCutOffIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	file, _ := written(t, filled(t))
	for n := 0; n < len(file)-1; n += 11 { // the last line break may be missing
		_, err := export.Verify(context.Background(), strings.NewReader(file[:n]), nil)
		var wrong *export.LineError
		require.ErrorAs(t, err, &wrong, "after %d bytes", n)
		require.Equal(t, int64(strings.Count(file[:n], "\n")+1), wrong.Line, "after %d bytes: %v", n, err)
	}
}

func TestLinesThatWereMovedAreRefused(t *testing.T) {
	t.Parallel()
	file, _ := written(t, filled(t))
	lines := strings.SplitAfter(strings.TrimSuffix(file, "\n"), "\n")
	for name, moved := range map[string]struct {
		file string
		line int64
	}{
		"left out":  {strings.Join(append(append([]string{}, lines[:4]...), lines[5:]...), ""), 5},
		"twice":     {strings.Join(append(append([]string{}, lines[:5]...), lines[4:]...), ""), 6},
		"exchanged": {strings.Join(append(append([]string{}, lines[:4]...), append([]string{lines[5], lines[4]}, lines[6:]...)...), ""), 5},
		"added":     {file + lines[4], int64(len(lines)) + 1},
		"no export": {"{\"hello\":1}\n", 1},
		"empty":     {"", 1},
	} {
		_, err := export.Verify(t.Context(), strings.NewReader(moved.file), nil)
		var wrong *export.LineError
		require.ErrorAs(t, err, &wrong, name)
		assert.Equal(t, moved.line, wrong.Line, "%s: %v", name, err)
	}
}

// failing is a store whose import fails at its nth call, before or after the work: a lost answer.
type failing struct {
	*memory.Store
	calls, at int
	after     bool
}

var errLost = errors.New("connection lost")

func (f *failing) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	f.calls++
	if f.calls == f.at && !f.after {
		return errLost
	}
	err := f.Store.Import(ctx, life, events, commands)
	if f.calls == f.at && f.after {
		return errLost
	}
	return err
}

func TestAnImportGoesOnWhereItWasBrokenOffAndNothingComesTwice(t *testing.T) {
	t.Parallel()
	source := memory.NewStore()
	for n := range 5 {
		_, err := source.Append(t.Context(), eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.NewCommandID(fmt.Sprint(n))},
			Writes:  []eventstore.Write{{Stream: eventstore.NewStreamID("s", fmt.Sprint(n)), Events: []eventstore.EventData{{Type: "e"}, {Type: "f"}, {Type: "g"}, {Type: "h"}, {Type: "i"}}}},
		})
		require.NoError(t, err)
	}
	const batch = 10
	file, _ := written(t, source)
	for at := 1; at <= 4; at++ { // three of events, one of commands
		for _, after := range []bool{false, true} {
			target := &failing{Store: memory.NewStore(), at: at, after: after}
			_, err := export.ImportInBatches(t.Context(), target, strings.NewReader(file), nil, batch)
			require.ErrorIs(t, err, errLost)
			_, err = target.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "s-1", Events: []eventstore.EventData{{Type: "e"}}}}})
			require.ErrorIs(t, err, eventstore.ErrImporting)
			_, err = export.ImportInBatches(t.Context(), target, strings.NewReader(file), nil, batch)
			require.NoError(t, err)
			again, _ := written(t, target)
			require.Equal(t, file, again)
		}
	}
}

func TestAnotherFileDoesNotGoOnWithAnImport(t *testing.T) {
	t.Parallel()
	source := filled(t)
	file, _ := written(t, source)
	other := memory.NewStore()
	life, err := other.BeginImport(t.Context(), head(t, source).Store)
	require.NoError(t, err)
	e := eventstore.Recorded{EventData: eventstore.EventData{ID: eventstore.NewEventID(), Type: "x", SchemaVersion: 1}, Stream: "a-1", Version: 1, Position: 1, RecordedAt: time.UnixMicro(1)}
	require.NoError(t, other.Import(t.Context(), life, []eventstore.Recorded{e}, nil))
	_, err = export.Import(t.Context(), other, strings.NewReader(file), nil)
	require.ErrorContains(t, err, "line 2: the store has another event at position 1: it is the import of another file")

	_, err = export.Import(t.Context(), filled(t), strings.NewReader(file), nil)
	require.ErrorIs(t, err, eventstore.ErrNotEmpty)
}

func head(t testing.TB, store eventstore.LogReader) eventstore.Token {
	t.Helper()
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	return head
}

func TestCommandsAreNotLeftOutUnnoticed(t *testing.T) {
	t.Parallel()
	plain := struct{ eventstore.Store }{filled(t)}
	_, err := export.Write(t.Context(), io.Discard, plain, export.Options{})
	require.ErrorIs(t, err, eventstore.ErrUnsupported)
	s, err := export.Write(t.Context(), io.Discard, plain, export.Options{WithoutCommands: true})
	require.NoError(t, err)
	assert.Zero(t, s.Commands)
	assert.Positive(t, s.Events)
}

func Example() {
	ctx := context.Background()
	store := memory.NewStore()
	_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed", Data: []byte(`{"total":17}`)}}},
	}})
	if err != nil {
		panic(err)
	}
	var file bytes.Buffer
	if _, err := export.Write(ctx, &file, store, export.Options{}); err != nil {
		panic(err)
	}
	elsewhere := memory.NewStore()
	s, err := export.Import(ctx, elsewhere, &file, nil)
	fmt.Println(s.Events, err)
	// Output: 1 <nil>
}
