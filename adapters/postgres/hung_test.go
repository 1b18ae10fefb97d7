package postgres_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

// network hangs from a chosen frame on: connections stay open, new ones are taken, and
// nothing passes in either direction until it is back.
type network struct {
	at func(pgproxy.Frame) bool // asked while it works; nil: it does not hang

	hangs   chan struct{} // closed with the chosen frame
	retried chan struct{} // closed when a client connects while it hangs
	back    chan struct{} // closed by the test
	late    chan struct{} // closed when the server answers the connection that hung first

	first               int // the connection that hung first
	hung, met, answered bool
}

func newNetwork(at func(pgproxy.Frame) bool) *network {
	return &network{at: at, hangs: make(chan struct{}), retried: make(chan struct{}), back: make(chan struct{}), late: make(chan struct{})}
}

func (n *network) hook(f pgproxy.Frame) pgproxy.Action {
	switch {
	case !n.hung && n.at(f):
		n.hung, n.first = true, f.Conn
		close(n.hangs)
	case !n.hung:
		return pgproxy.Forward
	case f.Type == pgproxy.Startup && f.FromClient && !isCancel(f) && !n.met:
		n.met = true
		close(n.retried)
	}
	if !f.FromClient && f.Type == pgproxy.ReadyForQuery && f.Conn == n.first && !n.answered {
		n.answered = true
		defer close(n.late)
	}
	return pgproxy.Pause(n.back)
}

// isCancel tells the request to cancel a statement, which a driver sends by itself when it
// gives up a connection.
func isCancel(f pgproxy.Frame) bool {
	return len(f.Payload) >= 4 && binary.BigEndian.Uint32(f.Payload) == 80877102
}

// The two sides of the moment that decides: the server has not seen the batch, or has
// committed it.
func beforeTheBatch() func(pgproxy.Frame) bool {
	seen := 0
	return func(f pgproxy.Frame) bool {
		if isAppend(f) {
			seen++
		}
		return seen == 2
	}
}

func afterTheBatch() func(pgproxy.Frame) bool {
	seen := 0
	return func(f pgproxy.Frame) bool {
		if isAppend(f) {
			seen++
		}
		return seen == 2 && !f.FromClient && f.Type == pgproxy.ReadyForQuery
	}
}

func isAppend(f pgproxy.Frame) bool { return isBatch(f) || isLone(f) }

func isBatch(f pgproxy.Frame) bool { return executes(f, "leftfold/append") }

func isLone(f pgproxy.Frame) bool { return executes(f, "leftfold/append_one") }

// executes reports whether the client has a prepared statement executed.
func executes(f pgproxy.Frame, name string) bool {
	return f.FromClient && f.Type == pgproxy.Bind && bytes.HasPrefix(f.Payload, []byte("\x00"+name+"\x00")) // behind the name of the portal
}

var hangs = []struct {
	name    string
	request eventstore.AppendRequest // to order-2
	at      func() func(pgproxy.Frame) bool
	made    bool // when the network hangs
}{
	{"before the server has the batch", oneEvent("order-2"), beforeTheBatch, false},
	{"when the batch is committed", oneEvent("order-2"), afterTheBatch, true},
	{"before the server has the lone event", loneEvent("order-2", 0), beforeTheBatch, false},
	{"when the lone event is committed", loneEvent("order-2", 0), afterTheBatch, true},
}

func TestAnAppendThatHungIsMadeOnceWhenTheNetworkIsBackInTime(t *testing.T) {
	t.Parallel()
	for _, c := range hangs {
		t.Run(c.name, func(t *testing.T) {
			pool, n := newPool(t), newNetwork(c.at())
			store := throughProxy(t, pool, n.hook)
			_, err := store.Append(t.Context(), oneEvent("order-1"))
			require.NoError(t, err)
			store.SetPatience(200*time.Millisecond, time.Minute, time.Minute)
			answer := make(chan error, 1)
			go func() {
				_, err := store.Append(t.Context(), c.request)
				answer <- err
			}()
			<-n.hangs
			<-n.retried // the batch has been given up
			require.Empty(t, answer)
			close(n.back)
			require.NoError(t, <-answer)
			<-n.late
			require.EqualValues(t, 2, countEvents(t, pool))
		})
	}
}

func TestAnAppendThatHungForTooLongIsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range hangs {
		t.Run(c.name, func(t *testing.T) {
			require.Empty(t, hangForTooLong(t, c.request, c.at(), c.made, func(*postgres.Store) {}))
		})
	}
}

// A client that takes an unknown outcome for a failure must be caught by the check.
func TestMutantThatSendsAnUnknownAppendAgainIsCaught(t *testing.T) {
	t.Parallel()
	findings := hangForTooLong(t, oneEvent("order-2"), afterTheBatch(), true, func(store *postgres.Store) {
		_, err := store.Append(t.Context(), oneEvent("order-2"))
		require.NoError(t, err)
	})
	require.Equal(t, []string{"2 events in order-2"}, findings)
}

// hangForTooLong lets an append hang until the store gives up, brings the network back, and
// says what is wrong with the log after what the client does then.
func hangForTooLong(t *testing.T, request eventstore.AppendRequest, at func(pgproxy.Frame) bool, made bool, then func(*postgres.Store)) (findings []string) {
	t.Helper()
	pool, n := newPool(t), newNetwork(at)
	store := throughProxy(t, pool, n.hook)
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	store.SetPatience(200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond)
	_, err = store.Append(t.Context(), request)
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, eventstore.ErrStoreBusy, "which would mean that it was not appended")
	<-n.hangs
	_, err = store.Append(t.Context(), oneEvent("order-3"))
	require.ErrorIs(t, err, postgres.ErrUnavailable, "it was not sent")
	require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)

	store.SetPatience(time.Minute, time.Minute, time.Minute)
	close(n.back)
	<-n.late
	_, err = store.Append(t.Context(), oneEvent("order-4"))
	require.NoError(t, err)
	then(store)
	for stream, want := range map[string][2]int{"order-1": {1, 1}, "order-2": {0, 1}, "order-3": {0, 0}, "order-4": {1, 1}} {
		if stream == "order-2" && made {
			want[0] = 1
		}
		var count int
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events WHERE stream_id = $1", stream).Scan(&count))
		if count < want[0] || count > want[1] {
			findings = append(findings, fmt.Sprintf("%d events in %s", count, stream))
		}
	}
	return findings
}

func TestAReadOfAServerThatHangsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	read := map[string]func(context.Context, *postgres.Store) error{
		"Head": func(ctx context.Context, store *postgres.Store) error {
			_, err := store.Head(ctx)
			return err
		},
		"ReadLog": func(ctx context.Context, store *postgres.Store) error {
			_, err := store.ReadLog(ctx, eventstore.LogQuery{})
			return err
		},
		"ReadStream": func(ctx context.Context, store *postgres.Store) error {
			for _, err := range store.ReadStream(ctx, "order-1", eventstore.StreamRange{}) {
				return err
			}
			return nil
		},
		"LookupCommand": func(ctx context.Context, store *postgres.Store) error {
			_, _, err := store.LookupCommand(ctx, eventstore.Command{ID: eventstore.NewCommandID("place")})
			return err
		},
		"WaitAppended": func(ctx context.Context, store *postgres.Store) error { return store.WaitAppended(ctx, 1) },
		"Append": func(ctx context.Context, store *postgres.Store) error {
			_, err := store.Append(ctx, oneEvent("order-1"))
			return err
		},
	}
	for name, read := range read {
		t.Run(name, func(t *testing.T) {
			armed := make(chan struct{})
			n := newNetwork(func(pgproxy.Frame) bool { return isClosed(armed) })
			store := throughProxy(t, newPool(t), n.hook)
			_, err := store.Append(t.Context(), oneEvent("order-1"))
			require.NoError(t, err)
			close(armed)
			ctx, cancel := context.WithCancel(t.Context())
			answer := make(chan error, 1)
			go func() { answer <- read(ctx, store) }()
			<-n.hangs
			require.Empty(t, answer)
			cancel()
			err = <-answer
			if name == "Append" {
				require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "it was sent")
			} else {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.NotErrorIs(t, err, eventstore.ErrStoreBusy)
			close(n.back)
			_, err = store.Append(t.Context(), oneEvent("order-1"))
			require.NoError(t, err)
		})
	}
}

// The end of Close's context is the end of the store, whatever the server does: who waits is
// told what is known.
func TestCloseOfAStoreWhoseServerHangsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, c := range hangs {
		t.Run(c.name, func(t *testing.T) {
			pool, n := newPool(t), newNetwork(c.at())
			defer close(n.back)
			store := throughProxy(t, pool, n.hook)
			_, err := store.Append(t.Context(), oneEvent("order-1"))
			require.NoError(t, err)
			appended, read, woken := make(chan error, 1), make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := store.Append(t.Context(), c.request)
				appended <- err
			}()
			<-n.hangs
			go func() {
				_, err := store.Head(t.Context())
				read <- err
			}()
			go func() { woken <- store.WaitAppended(t.Context(), 7) }()
			queued := make(chan error, 1)
			go func() {
				_, err := store.Append(t.Context(), oneEvent("order-3"))
				queued <- err
			}()
			<-n.retried // the read connects

			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, store.Close(ctx), context.DeadlineExceeded)
			require.Less(t, time.Since(start), 10*time.Second, "the patience with a batch is 30 s")
			require.ErrorIs(t, <-appended, eventstore.ErrOutcomeUnknown)
			require.ErrorIs(t, <-read, eventstore.ErrClosed)
			require.ErrorIs(t, <-woken, eventstore.ErrClosed)
			require.ErrorIs(t, <-queued, eventstore.ErrClosed)
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
