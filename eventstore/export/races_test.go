package export_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/export"
)

// watched is a store that tells of each call when it is done.
type watched struct {
	*memory.Store
	imports func(events []eventstore.Recorded, commands []eventstore.RememberedCommand)
	ends    func() error
}

func (w *watched) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	err := w.Store.Import(ctx, life, events, commands)
	if w.imports != nil {
		w.imports(events, commands)
	}
	return err
}

func (w *watched) EndImport(ctx context.Context, end eventstore.Token) error {
	err := w.Store.EndImport(ctx, end)
	if w.ends != nil {
		err = errors.Join(err, w.ends())
	}
	return err
}

// commanded appends an event for each of the numbers, by a command of its own.
func commanded(t *testing.T, store *memory.Store, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		_, err := store.Append(t.Context(), eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.NewCommandID(fmt.Sprint(n))},
			Writes:  []eventstore.Write{{Stream: eventstore.NewStreamID("s", fmt.Sprint(n)), Events: []eventstore.EventData{{Type: "e"}}}},
		})
		require.NoError(t, err)
	}
}

// The older of two exports has all its events in the store when the newer one goes on behind them, and comes to its
// end first.
func TestOfTwoImportsOfOneStoreTheShorterDoesNotOpenHalfOfTheLonger(t *testing.T) {
	t.Parallel()
	source := memory.NewStore()
	commanded(t, source, 0, 10)
	older, _ := written(t, source)
	commanded(t, source, 10, 30)
	newer, _ := written(t, source)

	into := memory.NewStore()
	reading, writing := io.Pipe()
	there, ended := make(chan struct{}), make(chan error, 1)
	first := &watched{Store: into, imports: func(_ []eventstore.Recorded, commands []eventstore.RememberedCommand) {
		if len(commands) > 0 {
			close(there)
		}
	}}
	go func() {
		_, err := export.ImportInBatches(t.Context(), first, reading, nil, 10)
		ended <- err
	}()
	lines := strings.SplitAfter(older, "\n") // and nothing behind the last
	_, err := io.WriteString(writing, strings.Join(lines[:len(lines)-2], ""))
	require.NoError(t, err)
	<-there // all of the older but its last line
	calls := 0
	second := &watched{Store: into, imports: func([]eventstore.Recorded, []eventstore.RememberedCommand) {
		if calls++; calls != 1 { // 20 events are there
			return
		}
		_, err := io.WriteString(writing, lines[len(lines)-2])
		require.NoError(t, err)
		require.NoError(t, writing.Close())
		require.ErrorContains(t, <-ended, "nobody can append until the longer import has ended")
		_, err = into.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "s-15", Events: []eventstore.EventData{{Type: "e"}}}}})
		require.ErrorIs(t, err, eventstore.ErrImporting)
	}}
	_, err = export.ImportInBatches(t.Context(), second, strings.NewReader(newer), nil, 10)
	require.NoError(t, err)
	again, _ := written(t, into)
	require.Equal(t, newer, again)
}

func TestAnImportWhoseEndWasNotToldIsFoundWhole(t *testing.T) {
	t.Parallel()
	source := filled(t)
	file, _ := written(t, source)
	into := memory.NewStore()
	_, err := export.Import(t.Context(), &watched{Store: into, ends: func() error { return errLost }}, strings.NewReader(file), nil)
	require.ErrorIs(t, err, errLost)
	_, err = into.Append(t.Context(), eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID("later")},
		Writes:  []eventstore.Write{{Stream: "order-2", Events: []eventstore.EventData{{Type: "e"}}}},
	})
	require.NoError(t, err, "it has ended all the same")
	s, err := export.Import(t.Context(), into, strings.NewReader(file), nil)
	require.NoError(t, err)
	assert.True(t, s.Already)
}

func TestAStoreThatLacksPartOfAFileHasNotImportedIt(t *testing.T) {
	t.Parallel()
	source := memory.NewStore()
	commanded(t, source, 0, 10)
	file, _ := written(t, source)
	for name, lacks := range map[string]func(eventstore.Identity, *memory.Store) error{
		"events": func(life eventstore.Identity, into *memory.Store) error {
			return into.Import(t.Context(), life, all(t, source)[:9], nil)
		},
		"commands": func(life eventstore.Identity, into *memory.Store) error {
			return into.Import(t.Context(), life, all(t, source), nil)
		},
	} {
		into := memory.NewStore()
		life, err := into.BeginImport(t.Context(), head(t, source).Store)
		require.NoError(t, err)
		require.NoError(t, lacks(life, into))
		require.NoError(t, into.EndImport(t.Context(), head(t, into)))
		_, err = export.Import(t.Context(), into, strings.NewReader(file), nil)
		require.ErrorIs(t, err, eventstore.ErrNotEmpty, name)
	}
}

func all(t *testing.T, store *memory.Store) (events []eventstore.Recorded) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

func TestTortureAnImportTakesLargeTagsAndManyStreamsInParts(t *testing.T) {
	t.Parallel()
	source := memory.NewStore()
	tags := make([]eventstore.Tag, 32)
	for n := range tags {
		tags[n] = eventstore.Tag(fmt.Sprintf("%d:%s", n, strings.Repeat("a", 240)))
	}
	tagged := make([]eventstore.EventData, 800) // 7.7 KB each
	for n := range tagged {
		tagged[n] = eventstore.EventData{Type: "e", Tags: tags}
	}
	_, err := source.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "a-1", Events: tagged}}})
	require.NoError(t, err)
	for n := range 3 { // their receipts have 10,000 streams of 240 bytes each
		request := eventstore.AppendRequest{Command: eventstore.Command{ID: eventstore.NewCommandID(fmt.Sprint(n))}}
		for m := range 10_000 {
			request.Writes = append(request.Writes, eventstore.Write{Stream: eventstore.NewStreamID("s", fmt.Sprintf("%0240d", m))})
		}
		request.Writes[0].Events = []eventstore.EventData{{Type: "e"}}
		_, err := source.Append(t.Context(), request)
		require.NoError(t, err)
	}
	file, _ := written(t, source)
	ofEvents, ofCommands := 0, 0
	target := &watched{Store: memory.NewStore(), imports: func(events []eventstore.Recorded, commands []eventstore.RememberedCommand) {
		ofEvents += min(1, len(events))
		ofCommands += min(1, len(commands))
	}}
	_, err = export.Import(t.Context(), target, strings.NewReader(file), nil)
	require.NoError(t, err)
	assert.Equal(t, 2, ofEvents)
	assert.Equal(t, 2, ofCommands)
}
