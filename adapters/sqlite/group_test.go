package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	t.Cleanup(func() { assert.NoError(t, f.close()) })
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
	for waiting := 0; waiting < len(writers); { // they join before they wait for the turn
		s.group.mu.Lock()
		waiting = len(s.group.waiting)
		s.group.mu.Unlock()
	}
	s.turn.release()
	results := make([]error, len(writers))
	for n := range errs {
		results[n] = <-errs[n]
	}
	return results
}

func (s *sharing) notes(t *testing.T) (notes []int) {
	t.Helper()
	require.NoError(t, s.read(t.Context(), func(tx *transaction) error {
		rows, err := tx.query(t.Context(), "SELECT n FROM notes ORDER BY n")
		require.NoError(t, err)
		defer rows.Close() //nolint:errcheck // rows.Err tells
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
