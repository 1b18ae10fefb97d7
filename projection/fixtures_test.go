package projection_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	paid struct {
		To    string `json:"to,omitempty"`
		Cents int64
	}
	closed  struct{ To string }
	renamed struct{ Name string }
	unknown struct{}
)

type account struct {
	ID    string `leftfold:"key"`
	Name  string
	Cents int64
	Log   []string
}

func events(t testing.TB) *codec.Set {
	t.Helper()
	set, err := codec.NewSet(codec.Event[paid]("paid"), codec.Event[closed]("closed"), codec.Event[renamed]("renamed"))
	require.NoError(t, err)
	return set
}

func pay(a *account, e paid, _ eventstore.Recorded) { a.Cents += e.Cents }

// accounts has a row for each stream.
var accounts = projection.NewView("accounts", projection.ViewOptions{Version: 1, Indexes: []string{"cents", "name"}},
	projection.When(pay),
	projection.When(func(a *account, e renamed, _ eventstore.Recorded) { a.Name = e.Name }),
	projection.Delete[account](func(e closed) string { return e.To }))

// appendTo appends the events to the stream test-<id>.
func appendTo(t testing.TB, store eventstore.Appender, id string, happened ...any) eventstore.Receipt {
	t.Helper()
	write := eventstore.Write{Stream: eventstore.NewStreamID("test", id)}
	for _, event := range happened {
		data, err := events(t).Encode(event)
		require.NoError(t, err)
		write.Events = append(write.Events, data)
	}
	receipt, err := store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
	require.NoError(t, err)
	return receipt
}

func runner(t testing.TB, log eventstore.LogReader, tasks ...projection.Task) projection.Runner {
	return projection.Runner{Log: log, Events: events(t), Tasks: tasks}
}

// rows returns the view's rows after a catch-up into an empty memory sink, in windows of
// the size.
func rows[R any](t testing.TB, log eventstore.LogReader, view *projection.View[R], window int) []R {
	t.Helper()
	sink := memory.NewSink()
	r := runner(t, log, projection.Into(sink, view))
	r.Window = window
	require.NoError(t, r.CatchUp(t.Context()))
	page, err := projection.NewReader(sink, view).List(t.Context(), projection.ListQuery{Limit: 1000})
	require.NoError(t, err)
	return page.Rows
}
