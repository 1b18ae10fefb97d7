//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// worker is a process that works for the shop.
type worker struct {
	*exec.Cmd

	log *bytes.Buffer
}

// starts starts one. It ends with the test.
func (s *shop) starts(t *testing.T, ttl time.Duration, args ...string) worker {
	t.Helper()
	w := worker{exec.CommandContext(t.Context(), os.Args[0], append([]string{"work"}, args...)...), &bytes.Buffer{}}
	w.Env = append(os.Environ(), childDir+"="+s.dir, childURL+"="+s.url, fmt.Sprintf("%s=%d", childTTL, int(ttl.Seconds())))
	w.Stderr = w.log
	_, err := w.StdinPipe() // which ends with this process
	require.NoError(t, err)
	require.NoError(t, w.Start())
	t.Cleanup(func() { _ = w.Process.Kill(); _ = w.Wait() })
	return w
}

// applied waits until every part has come to a position.
func applied(t *testing.T, sink projection.Sink, until eventstore.Receipt) {
	t.Helper()
	require.NotEmpty(t, ask(t, sink, until.Token))
}

// ask returns all orders of the view, when it has come to the token.
func ask(t *testing.T, sink projection.Sink, after eventstore.Token) []summary {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type everything struct{}
	bus := query.NewBus()
	query.Handle(bus, "orders", func(ctx context.Context, _ everything) (all []summary, err error) {
		for row, err := range projection.NewReader(sink, summaries(1, false)).All(ctx, projection.ListQuery{}) {
			if err != nil {
				return nil, err
			}
			all = append(all, row)
		}
		return all, nil
	}, query.Reads("orders"))
	all, err := query.Ask[[]summary](ctx, bus, everything{}, query.After(after), query.Wait(time.Minute))
	require.NoError(t, err)
	return all
}

// released says which lease of the shop is still held, or who still attends.
func released(ctx context.Context, log eventstore.LogReader, sink projection.Sink) error {
	names, err := sink.(projection.Lister).Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		all, err := projection.StatusOfAll(ctx, log, sink, name)
		if err != nil {
			return err
		}
		for _, s := range all {
			if len(s.Workers) > 0 {
				return fmt.Errorf("%v attends %s", s.Workers, s.Generation)
			}
			for _, l := range s.Segments {
				if l.Holder != "" {
					return fmt.Errorf("%s holds %s", l.Holder, s.Generation)
				}
			}
		}
	}
	return nil
}

// Orders are placed all the time. Leases of the first worker last for an hour, so that whoever comes after
// it works only if it has given them back.
func TestTortureWorkEndsOnSIGTERMAndOthersGoOnAtOnceAlsoAfterKill9(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		newShop(t).losesWorkers(t)
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.url = postgrestest.Pool(t).Config().ConnString()
		s.losesWorkers(t)
	})
}

func (s *shop) losesWorkers(t *testing.T) {
	t.Helper()
	store, sink, err := s.openStore(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(t.Context()))) })
	var ended atomic.Bool
	var places sync.WaitGroup
	newest := make(chan eventstore.Receipt, 1)
	all := 0
	places.Go(func() {
		pace := time.NewTicker(30 * time.Millisecond) // the machine has other work
		defer pace.Stop()
		for ; !ended.Load(); all++ {
			<-pace.C
			receipt := happens(t, store, fmt.Sprintf("%d", all), placed{int64(all)}, paid{})
			select {
			case <-newest:
			default:
			}
			newest <- receipt
		}
	})
	stopPlacing := func() { ended.Store(true); places.Wait() }
	t.Cleanup(stopPlacing)
	first := s.starts(t, time.Hour)
	applied(t, sink, <-newest)
	told := time.Now()
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(), first.log.String())
	require.Less(t, time.Since(told), 25*time.Second)
	require.NoError(t, released(t.Context(), store, sink))
	require.Contains(t, first.log.String(), "INFO stopped app=shop")

	second := s.starts(t, 2*time.Second)
	applied(t, sink, <-newest)
	require.NoError(t, second.Process.Kill())
	require.Error(t, second.Wait())
	require.Error(t, released(t.Context(), store, sink), "who is killed gives nothing back: the check above would notice")

	third := s.starts(t, 2*time.Second)
	applied(t, sink, <-newest)
	stopPlacing()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(third.log)
		}
	})
	s.isWholeAfter(t, store, sink, all)
	require.NoError(t, third.Process.Signal(syscall.SIGTERM))
	require.NoError(t, third.Wait(), third.log.String())
	t.Logf("%d orders", all)
}

// isWholeAfter waits until everything is applied, and looks that each order took effect once.
func (s *shop) isWholeAfter(t *testing.T, store kept, sink projection.Sink, all int) {
	t.Helper()
	archive, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "archive.db"), sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, archive.Close(context.WithoutCancel(t.Context()))) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	greetings := map[eventstore.StreamID]int{}
	for at := eventstore.Position(0); len(greetings) < all; {
		require.NoError(t, eventstore.WaitAppended(ctx, store, at))
		at = count(t, store, at, "greeting.sent", greetings)
	}
	head, err := archive.Head(ctx)
	require.NoError(t, err)
	if head.Position < eventstore.Position(all) {
		require.NoError(t, eventstore.WaitAppended(ctx, archive, eventstore.Position(all-1)))
	}
	archived := map[eventstore.StreamID]int{}
	count(t, archive, 0, "order.placed", archived)
	require.Len(t, archived, all)
	for stream, times := range archived {
		require.Equal(t, 1, times, stream)
	}
	head, err = store.Head(ctx)
	require.NoError(t, err)
	rows := ask(t, sink, head)
	require.Len(t, rows, all)
	for _, row := range rows {
		require.Equal(t, int64(1), row.Placed)
		require.True(t, row.Paid)
	}
	for stream, times := range greetings {
		require.Equal(t, 1, times, stream)
	}
}

// count counts the events of a type after a position by their streams, and returns the newest position.
func count(t *testing.T, log eventstore.LogReader, after eventstore.Position, eventType string, of map[eventstore.StreamID]int) eventstore.Position {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types(eventType), After: after})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		of[e.Stream]++
	}
	return read.Through.Position
}
