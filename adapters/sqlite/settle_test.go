package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

var errLost = errors.New("the answer was lost")

// fate is what becomes of a COMMIT.
type fate func(*sql.Tx) error

func answerLost(tx *sql.Tx) error  { return errors.Join(tx.Commit(), errLost) }
func requestLost(tx *sql.Tx) error { return errors.Join(tx.Rollback(), errLost) }

// fates gives the first commits their fates; the others work. The appender alone calls it.
func fates(script ...fate) fate {
	return func(tx *sql.Tx) error {
		if len(script) == 0 {
			return tx.Commit()
		}
		next := script[0]
		script = script[1:]
		return next(tx)
	}
}

func TestALostCommitIsSettled(t *testing.T) {
	for name, commit := range map[string]fate{
		"committed, and the answer is lost":                       fates(answerLost),
		"never committed":                                         fates(requestLost),
		"never committed, and the settling neither":               fates(requestLost, requestLost),
		"never committed, and the answer to the settling is lost": fates(requestLost, answerLost),
		"never committed, and the answer to the retry is lost":    fates(requestLost, (*sql.Tx).Commit, answerLost),
		"committed, and the next batch is lost":                   fates(answerLost, requestLost),
	} {
		t.Run(name, func(t *testing.T) {
			store := openInternal(t)
			store.file.commit = commit
			require.Empty(t, appendTogether(t, store))
		})
	}
}

func TestWhatCannotBeSettledIsUnknown(t *testing.T) {
	store := openInternal(t)
	store.file.commit = requestLost
	_, err := store.Append(t.Context(), placed("order-1", "once"))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	store.file.commit = (*sql.Tx).Commit
	_, err = store.Append(t.Context(), placed("order-1", "once"))
	require.NoError(t, err, "the store goes on")
}

// TestMutantBlindRetryIsCaught proves that the check of TestALostCommitIsSettled finds
// an appender that takes every failed COMMIT for one that did not happen.
func TestMutantBlindRetryIsCaught(t *testing.T) {
	store := openInternal(t)
	lost := fates(answerLost)
	store.file.commit = func(tx *sql.Tx) error {
		err := lost(tx)
		if err != nil { // forget the mark, as if it had never been kept
			_, failure := store.file.writer.db.Exec("DELETE FROM writers")
			return errors.Join(err, failure)
		}
		return nil
	}
	require.NotEmpty(t, appendTogether(t, store))
}

// appendTogether lets eight clients append an event each and returns what is wrong with
// the log or the receipts: each event must be there once, where its receipt says.
func appendTogether(t *testing.T, store *Store) (findings []string) {
	t.Helper()
	const clients = 8
	receipts, errs := make([]eventstore.Receipt, clients), make([]error, clients)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			stream := eventstore.NewStreamID("order", fmt.Sprint(c))
			receipts[c], errs[c] = store.Append(t.Context(), placed(stream, fmt.Sprint(c)))
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	if head.Position != clients {
		findings = append(findings, fmt.Sprintf("%d events, want %d", head.Position, clients))
	}
	at := map[string]eventstore.Position{}
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		at[string(e.Data)] = e.Position
	}
	for c, receipt := range receipts {
		if name := fmt.Sprint(c); at[name] != receipt.Token.Position {
			findings = append(findings, fmt.Sprintf("event of client %s at %d, receipt says %d", name, at[name], receipt.Token.Position))
		}
	}
	return findings
}

func placed(stream eventstore.StreamID, data string, tags ...eventstore.Tag) eventstore.AppendRequest {
	event := eventstore.EventData{Type: "order.placed", Data: []byte(data), Tags: tags}
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{event}}}}
}

func openInternal(t testing.TB) *Store {
	t.Helper()
	return openInternalWith(t, Options{})
}

func openInternalWith(t testing.TB, o Options) *Store {
	t.Helper()
	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "leftfold.db"), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) }) // the test's own context is over by then
	return store
}

// A COMMIT that failed at its fsync may have left everything in the write-ahead log, and
// a crash would bring it to life. So before a batch is called not committed, something
// is committed over it.
func TestABatchThatIsSettledAsNotCommittedIsWrittenOver(t *testing.T) {
	store := openInternal(t)
	store.file.commit = fates(requestLost)
	request, err := placed("order-1", "x").Prepare(eventstore.Limits{})
	require.NoError(t, err)
	a := &store.appender
	require.ErrorIs(t, a.attempt(t.Context(), []*groupcommit.Pending{groupcommit.NewPending(request)}), errNotCommitted)
	var committed int64
	require.NoError(t, store.file.read(t.Context(), func(tx *transaction) error {
		_, err := tx.find(t.Context(), writerBatchSQL, []any{a.writer}, &committed)
		return err
	}))
	require.EqualValues(t, 2, committed, "the batch was the first")
}

// A program that is open for months sees thousands of others come and go. If one of them
// forgot its row while it settles a batch, the batch would be taken for lost and appended again.
func TestAWriterThatIsActiveIsNotForgottenForThoseWhoCameLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leftfold.db")
	open := func() *Store {
		store, err := Open(t.Context(), path, Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		_, err = store.Append(t.Context(), placed("order-1", "x"))
		require.NoError(t, err)
		return store
	}
	old := open()
	_, err := old.file.writer.db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
		INSERT INTO writers (writer_id, batch) SELECT cast(i AS BLOB), 1 FROM n`)
	require.NoError(t, err)
	_, err = old.Append(t.Context(), placed("order-1", "y"))
	require.NoError(t, err)

	young := open() // whose first batch forgets the others
	var rows, known int
	require.NoError(t, young.file.writer.db.QueryRow("SELECT count(*) FROM writers").Scan(&rows))
	require.NoError(t, young.file.writer.db.QueryRow("SELECT count(*) FROM writers WHERE writer_id = ?", old.appender.writer).Scan(&known))
	require.Equal(t, 1001, rows, "the newest thousand, and the one that came")
	require.Equal(t, 1, known)
}
