package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// sharing is a file in which writers can be made to meet in one transaction.
type sharing struct {
	*file
	commits atomic.Int64
}

func newSharing(t *testing.T) *sharing {
	t.Helper()
	f, err := openFile(t.Context(), filepath.Join(t.TempDir(), "shared.db"), 2)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.close(context.Background())) })
	s := &sharing{file: f}
	f.commit = func(tx *sql.Tx) error { s.commits.Add(1); return tx.Commit() }
	require.NoError(t, f.write(t.Context(), func(tx *transaction) error {
		return tx.exec(t.Context(), "CREATE TABLE notes (n INTEGER)")
	}))
	s.commits.Store(0)
	return s
}

// together runs the writers so that all of them wait for one turn, and returns their
// errors; a panic comes back as an error too.
func (s *sharing) together(t *testing.T, writers ...func(*transaction) error) []error {
	t.Helper()
	require.NoError(t, s.turn.take(t.Context()))
	errs := make([]chan error, len(writers))
	for n, do := range writers {
		errs[n] = make(chan error, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					errs[n] <- p.(error)
				}
			}()
			errs[n] <- s.write(context.Background(), do)
		}()
	}
	s.await(t, len(writers)) // they join before they wait for the turn
	s.turn.release()
	results := make([]error, len(writers))
	for n := range errs {
		results[n] = <-errs[n]
	}
	return results
}

// await returns when so many writers wait.
func (s *sharing) await(t *testing.T, writers int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.group.mu.Lock()
		defer s.group.mu.Unlock()
		return len(s.group.waiting) == writers
	}, time.Minute, time.Millisecond)
}

func (s *sharing) notes(t *testing.T) (notes []int) {
	t.Helper()
	require.NoError(t, s.read(t.Context(), func(tx *transaction) error {
		rows, err := tx.query(t.Context(), "SELECT n FROM notes ORDER BY n")
		require.NoError(t, err)
		defer rows.Close() // rows.Err tells
		for rows.Next() {
			var n int
			require.NoError(t, rows.Scan(&n))
			notes = append(notes, n)
		}
		return rows.Err()
	}))
	return notes
}

func note(n int) func(*transaction) error {
	return func(tx *transaction) error {
		return tx.exec(context.Background(), "INSERT INTO notes VALUES (?)", n)
	}
}

func TestWritersThatWaitShareOneCommit(t *testing.T) {
	s := newSharing(t)
	assert.Equal(t, []error{nil, nil, nil, nil}, s.together(t, note(1), note(2), note(3), note(4)))
	assert.EqualValues(t, 1, s.commits.Load())
	assert.Equal(t, []int{1, 2, 3, 4}, s.notes(t))
}

func TestAWriterThatFailsDoesNotTakeTheOthersWithIt(t *testing.T) {
	refused := errors.New("refused")
	for name, end := range map[string]func() error{
		"by an error": func() error { return refused },
		"by a panic":  func() error { panic(refused) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSharing(t)
			errs := s.together(t, note(1), func(tx *transaction) error {
				_ = note(2)(tx)
				return end()
			}, note(3))
			assert.Equal(t, []error{nil, refused, nil}, errs)
			assert.Equal(t, []int{1, 3}, s.notes(t))
		})
	}
}

// A full disk or an interrupt makes SQLite roll back everything. What others wrote
// before must then be written again, once.
func TestAWriterThatLosesTheTransactionDoesNotTakeTheOthersWithIt(t *testing.T) {
	lost := errors.New("lost")
	for name, says := range map[string]error{"and says so": lost, "and says nothing": nil} {
		t.Run(name, func(t *testing.T) {
			s := newSharing(t)
			errs := s.together(t, note(1), func(tx *transaction) error {
				_, _ = tx.ExecContext(context.Background(), "ROLLBACK")
				return says
			}, note(3))
			assert.NoError(t, errs[0])
			assert.Error(t, errs[1])
			assert.NoError(t, errs[2])
			assert.Equal(t, []int{1, 3}, s.notes(t))
		})
	}
}

func TestALostCommitIsUnknownToEverybodyInIt(t *testing.T) {
	s := newSharing(t)
	cut := errors.New("cut off")
	s.commit = func(*sql.Tx) error { return cut }
	refused := errors.New("refused")
	errs := s.together(t, note(1), func(*transaction) error { return refused }, note(3))
	for _, n := range []int{0, 2} {
		unknown, ok := errors.AsType[*commitError](errs[n])
		require.True(t, ok, "%v", errs[n])
		assert.ErrorIs(t, unknown, cut)
	}
	assert.Equal(t, refused, errs[1], "what was rolled back is known")
}

func TestAWriterWhoseContextEndsWhileItWaitsWritesNothing(t *testing.T) {
	s := newSharing(t)
	require.NoError(t, s.turn.take(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.write(ctx, note(1)) }()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	s.turn.release()
	require.NoError(t, s.write(t.Context(), note(2)))
	assert.Equal(t, []int{2}, s.notes(t))
}

// With every share refused there is no commit, and the transaction must be over before
// the write-ahead log is trimmed on the only connection that writes.
func TestATransactionOfRefusedWritersEndsBeforeTheLogIsTrimmed(t *testing.T) {
	s := newSharing(t)
	s.trimAt = 0
	refused := errors.New("refused")
	no := func(*transaction) error { return refused }
	assert.Equal(t, []error{refused, refused}, s.together(t, no, no))
	require.NoError(t, s.write(t.Context(), note(1)))
}

// endings are ways to end a transaction that is not one's own. What is written
// afterwards would be durable at once.
var endings = map[string]func(*transaction) error{
	"by a commit":      func(tx *transaction) error { return tx.Commit() },
	"by a rollback":    func(tx *transaction) error { return tx.Rollback() },
	"by the statement": func(tx *transaction) error { return tx.exec(context.Background(), "COMMIT") },
	"by an error of SQLite": func(tx *transaction) error {
		return tx.exec(context.Background(), "INSERT OR ROLLBACK INTO once VALUES (1)")
	},
	"by an interrupt":        interrupted,
	"and begins another one": func(tx *transaction) error { return tx.exec(context.Background(), "COMMIT; BEGIN") },
}

// interrupted runs a long INSERT whose context ends, which rolls everything back.
func interrupted(tx *transaction) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := tx.ExecContext(ctx, "INSERT INTO notes WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
	return err
}

func TestAWriterThatEndsTheTransactionWritesNothing(t *testing.T) {
	for name, end := range endings {
		careless := func(tx *transaction) error { // overlooks every error
			_, _, _ = note(2)(tx), end(tx), note(2)(tx)
			return nil
		}
		t.Run(name, func(t *testing.T) {
			s := newSharing(t)
			require.NoError(t, s.write(t.Context(), func(tx *transaction) error {
				_, err := tx.ExecContext(t.Context(), "CREATE TABLE once (n INTEGER PRIMARY KEY); INSERT INTO once VALUES (1)")
				return err
			}))
			assert.ErrorIs(t, s.write(t.Context(), careless), errTransactionEnded)
			assert.Empty(t, s.notes(t))

			errs := s.together(t, note(1), careless, note(3))
			assert.NoError(t, errs[0])
			assert.ErrorIs(t, errs[1], errTransactionEnded)
			assert.NoError(t, errs[2])
			assert.Equal(t, []int{1, 3}, s.notes(t), "each once")
		})
	}
}

func TestAFileThatIsBusyIsWaitedForOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the busy timeout")
	}
	s := newSharing(t)
	other := occupy(t, s.path)
	start := time.Now()
	for _, err := range s.together(t, note(1), note(2), note(3)) {
		assert.ErrorIs(t, err, ErrBusy)
	}
	assert.Less(t, time.Since(start), 2*busyTimeout)
	require.NoError(t, other.Close())
	assert.Equal(t, []error{nil, nil}, s.together(t, note(4), note(5)))
	assert.Equal(t, []int{4, 5}, s.notes(t))
}

// While the first of them waits for another process, the others are still free to go.
func TestAWriterWhoseContextEndsWhileTheFileIsBusyGoesAtOnce(t *testing.T) {
	s := newSharing(t)
	other := occupy(t, s.path)
	var ends [2]context.CancelFunc
	var ended [2]chan error
	for n := range ends {
		var ctx context.Context
		ctx, ends[n] = context.WithCancel(t.Context())
		ended[n] = make(chan error, 1)
		go func() { ended[n] <- s.write(ctx, note(n)) }()
	}
	last := make(chan error, 1)
	go func() { last <- s.write(t.Context(), note(9)) }()
	s.await(t, 3)
	for n, end := range ends {
		end()
		require.ErrorIs(t, <-ended[n], context.Canceled)
	}
	require.NoError(t, other.Close())
	require.NoError(t, <-last)
	assert.Equal(t, []int{9}, s.notes(t))
}

func TestCloseWaitsForTransactionsUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		use func(*sharing, context.Context, func(*transaction) error) error
		do  func(*transaction) error
	}{
		"that write": {func(s *sharing, ctx context.Context, do func(*transaction) error) error { return s.write(ctx, do) }, note(1)},
		"that read":  {func(s *sharing, ctx context.Context, do func(*transaction) error) error { return s.read(ctx, do) }, look},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSharing(t)
			begun, finish := make(chan struct{}), make(chan struct{})
			ended, closed := make(chan error, 1), make(chan error, 1)
			go func() {
				ended <- c.use(s, t.Context(), func(tx *transaction) error {
					close(begun)
					<-finish
					return c.do(tx)
				})
			}()
			<-begun
			go func() { closed <- s.close(context.Background()) }()
			require.Never(t, func() bool { return len(closed) > 0 }, 50*time.Millisecond, time.Millisecond)
			require.ErrorIs(t, c.use(s, t.Context(), c.do), eventstore.ErrClosed)
			close(finish)
			require.NoError(t, <-ended)
			require.NoError(t, <-closed)
		})
	}
}

func look(tx *transaction) error {
	_, err := tx.find(context.Background(), "SELECT count(*) FROM notes", nil, new(int))
	return err
}

func TestCloseInAHurryDoesNotWaitForAHandler(t *testing.T) {
	s := newSharing(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- s.write(t.Context(), func(*transaction) error {
			close(begun)
			<-finish
			return nil
		})
	}()
	<-begun
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.close(hurry), context.Canceled)
	close(finish)
	<-ended
}

// The first of two writers in one transaction ends the other's context, as a service
// that shuts down would.
func TestAWriterWhoseContextEndsInASharedTransactionWritesNothing(t *testing.T) {
	s := newSharing(t)
	ctx, end := context.WithCancel(t.Context())
	first := &share{ctx: t.Context(), done: make(chan struct{}), do: func(tx *transaction) error { end(); return note(1)(tx) }}
	second := &share{ctx: ctx, done: make(chan struct{}), do: note(2)}
	require.NoError(t, s.turn.take(t.Context()))
	s.group.join(first)
	s.group.join(second)
	s.writeWaiting(first)
	s.turn.release()
	require.NoError(t, first.err)
	require.ErrorIs(t, second.err, context.Canceled)
	assert.Equal(t, []int{1}, s.notes(t))
}

// occupy locks the file as another process would, until the returned database is closed.
func occupy(t *testing.T, path string) *sql.DB {
	t.Helper()
	other, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	other.SetMaxOpenConns(1)
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	return other
}
