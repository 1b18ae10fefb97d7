package kinesisstore_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// interrupted is the store of an index. Something happens when its head is asked for.
type interrupted struct {
	*sqlite.Store

	meanwhile func()
}

func (i *interrupted) Head(ctx context.Context) (eventstore.Token, error) {
	if act := i.meanwhile; act != nil {
		i.meanwhile = nil
		act()
	}
	return i.Store.Head(ctx)
}

func openInterrupted(t testing.TB, c client) (*interrupted, *kinesisstore.Index, *kinesisstore.Store) {
	path := filepath.Join(t.TempDir(), "index.db")
	inner, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = db.Close()
		_ = inner.Close(context.Background())
	})
	i := &interrupted{Store: inner}
	index := openIndex(t, c, newStream(t, c, 1), kinesisstore.SQLite(i, db))
	store, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{})
	require.NoError(t, err)
	return i, index, store
}

// An append of unknown outcome is repeated, and its first record comes into the index in the middle of that.
func TestAnAppendThatIsIndexedWhileItIsRepeatedIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	for name, expected := range map[string]eventstore.ExpectedVersion{"any": eventstore.Any, "no stream": eventstore.NoStream} {
		for _, command := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " by command id"}[command], func(t *testing.T) {
				t.Parallel()
				c := &impatient{client: unlimited(nil)}
				i, index, store := openInterrupted(t, c)
				request := to("order-1", expected, event("a"))
				if command {
					request.Command.ID = eventstore.NewCommandID("a")
				}
				_, err := store.Append(c.gone(t.Context()), request)
				unknown := &kinesisstore.OutcomeUnknownError{}
				require.ErrorAs(t, err, &unknown)

				i.meanwhile = func() {
					require.NoError(t, reader{client: c, stream: index.Stream().Name, target: index}.drain(t.Context()))
					follow(t, reader{client: c, stream: index.Stream().Name, target: index})
				}
				again := t.Context()
				if !command {
					again = kinesisstore.WithCommit(again, unknown.Commit)
				}
				receipt, err := store.Append(again, request)
				require.NoError(t, err)
				require.EqualValues(t, 1, receipt.Versions["order-1"])
				require.Equal(t, []string{"order-1@1 a"}, contents(t, index))
			})
		}
	}
}

func TestACommitIsThatOfOneStream(t *testing.T) {
	t.Parallel()
	c := unlimited(nil)
	index, store := alone(t, c)
	follow(t, reader{client: c, stream: index.Stream().Name, target: index})
	ctx := kinesisstore.WithCommit(t.Context(), kinesisstore.NewCommitID())
	for _, stream := range []eventstore.StreamID{"order-1", "order-2"} {
		receipt, err := store.Append(ctx, to(stream, eventstore.Any, event("a")))
		require.NoError(t, err)
		require.EqualValues(t, 1, receipt.Versions[stream])
	}
	require.ElementsMatch(t, []string{"order-1@1 a", "order-2@1 a"}, contents(t, index))
}

func TestARepeatedAppendThatIsNotPutIsStillOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	c := &impatient{client: unlimited(fault.Script(map[string][]fault.Kind{"PutRecord": append([]fault.Kind{fault.None}, slices.Repeat([]fault.Kind{fault.Throttled}, 1000)...)}))}
	_, store := alone(t, c)
	request, ctx := to("order-1", eventstore.Any, event("a")), kinesisstore.WithCommit(t.Context(), kinesisstore.NewCommitID())
	for range 2 {
		_, err := store.Append(c.gone(ctx), request)
		require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "the record of the first call is on the stream")
		require.NotErrorIs(t, err, context.Canceled)
	}
}
