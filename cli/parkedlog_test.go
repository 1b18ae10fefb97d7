package cli

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

type (
	sold struct{ Pieces int64 }
	sale struct {
		ID     string `leftfold:"key"`
		Pieces int64
	}
)

// looked ends a look at dead letters after so many.
type looked struct {
	projection.Sink
	times int
	end   func()
}

func (l *looked) Builds(ctx context.Context, name string) ([]projection.Build, error) {
	if l.times--; l.times == 0 {
		l.end()
	}
	return l.Sink.Builds(ctx, name)
}

func TestAParkedKeyIsLoggedOnce(t *testing.T) {
	t.Parallel()
	store, sink := memory.NewStore(), memory.NewSink()
	events, err := codec.NewSet(codec.Event[sold]("sold"))
	require.NoError(t, err)
	data, err := events.Encode(sold{-1})
	require.NoError(t, err)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "sale-1", Events: []eventstore.EventData{data}}}})
	require.NoError(t, err)
	view := projection.NewView("sales", projection.ViewOptions{Version: 1}, projection.When(func(*sale, sold, eventstore.Recorded) { panic("minus one piece") }))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w := projection.Worker{Log: store, Events: events, Tasks: []projection.Task{projection.Into(sink, view)}}
	w.Hooks.Progress = func(projection.Progress) { stop() }
	require.NoError(t, w.Run(ctx))

	var log bytes.Buffer
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	watched := model{Generation: projection.Generation{Name: "sales", Version: 1}, log: store, sink: &looked{sink, 3, stop}}
	logParked(ctx, []model{watched}, slog.New(slog.NewTextHandler(&log, nil)), 1)
	assert.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	assert.Regexp(t, `level=WARN msg="key is left alone" projection=sales version=1 key=1 position=1 event=\S+ type=sold since=\S+ error=".*minus one piece.*"\n$`, log.String())
}
