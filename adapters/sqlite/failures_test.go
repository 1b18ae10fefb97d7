package sqlite

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

func TestAFullDiskRefusesTheAppendAndNothingElse(t *testing.T) {
	store := openInternal(t)
	_, err := store.Append(t.Context(), placed("order-1", "before"))
	require.NoError(t, err)
	limitPages(t, store, 8)

	_, err = store.Append(t.Context(), placed("order-1", string(make([]byte, 1<<18))))
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorContains(t, err, store.file.path)
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Position)

	limitPages(t, store, 1<<30)
	receipt, err := store.Append(t.Context(), placed("order-1", "after"))
	require.NoError(t, err, "with space again, the store goes on")
	require.EqualValues(t, 2, receipt.Token.Position)
}

// limitPages leaves room for so many more pages, which looks like a full disk.
func limitPages(t *testing.T, store *Store, more int) {
	t.Helper()
	var pages int
	require.NoError(t, store.file.writer.db.QueryRow("PRAGMA page_count").Scan(&pages))
	_, err := store.file.writer.db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", min(pages+more, 1<<30)))
	require.NoError(t, err)
}

func TestOneGuiltyAppendDoesNotFailItsBatch(t *testing.T) {
	store := openInternal(t)
	limitPages(t, store, 20)
	small := func(n int) *groupcommit.Pending {
		return groupcommit.NewPending(placed(eventstore.NewStreamID("order", fmt.Sprint(n)), "small"))
	}
	large := groupcommit.NewPending(placed("order-large", string(make([]byte, 1<<20))))
	batch := []*groupcommit.Pending{small(1), large, small(2)}
	for _, p := range batch {
		p.Request, _ = p.Request.Prepare(eventstore.Limits{})
	}
	store.appender.process(t.Context(), batch)
	require.NoError(t, batch[0].Err)
	require.ErrorIs(t, batch[1].Err, ErrDiskFull)
	require.NoError(t, batch[2].Err)
	require.EqualValues(t, 2, batch[2].Receipt.Token.Position)
}

func TestADamagedFileIsReportedWithAdvice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leftfold.db")
	store, err := Open(t.Context(), path, Options{})
	require.NoError(t, err)
	for n := range 200 {
		_, err := store.Append(t.Context(), placed(eventstore.NewStreamID("order", fmt.Sprint(n)), string(make([]byte, 2000))))
		require.NoError(t, err)
	}
	require.NoError(t, store.Close(t.Context()))
	damage(t, path)

	store, err = Open(t.Context(), path, Options{})
	if err == nil {
		defer store.Close(t.Context()) // the file is damaged
		err = readAll(t, store)
	}
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "restore a backup")
}

// damage overwrites everything behind the first page.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	copy(content[4096:], bytes.Repeat([]byte{0xa5}, len(content)))
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

func readAll(t *testing.T, store *Store) error {
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	if err != nil {
		return err
	}
	for _, err := range read.Events() {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAnotherProcessThatHoldsTheLockMakesTheStoreBusy(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the busy timeout")
	}
	store := openInternal(t)
	other, err := sql.Open("sqlite", store.file.path)
	require.NoError(t, err)
	defer other.Close()
	other.SetMaxOpenConns(1)
	_, err = other.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)

	_, err = store.Append(t.Context(), placed("order-1", "x"))
	require.ErrorIs(t, err, ErrBusy)
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.ErrorContains(t, err, store.file.path)

	_, err = other.Exec("ROLLBACK")
	require.NoError(t, err)
	_, err = store.Append(t.Context(), placed("order-1", "x"))
	require.NoError(t, err)
}

func TestWhatIsRecordedCannotBeChangedOrRemoved(t *testing.T) {
	store := openInternal(t)
	request := placed("order-1", "x")
	request.Command.ID = eventstore.NewCommandID("x")
	request.Writes[0].Events[0].Tags = []eventstore.Tag{"order:1"}
	_, err := store.Append(t.Context(), request)
	require.NoError(t, err)
	for statement, why := range map[string]string{
		"UPDATE events SET data = x'00'":     "an event cannot be changed",
		"DELETE FROM events":                 "an event cannot be removed",
		"UPDATE commands SET position = 9":   "a receipt cannot be changed",
		"DELETE FROM commands":               "a receipt cannot be removed",
		"UPDATE event_tags SET tag = 'no:1'": "a tag cannot be changed",
		"DELETE FROM event_tags":             "a tag cannot be removed",
	} {
		_, err := store.file.writer.db.Exec(statement)
		require.ErrorContains(t, err, why, statement)
	}
}

func TestResultCodesOfSQLiteHaveAKindAndAdvice(t *testing.T) {
	for code, want := range map[int]error{
		sqlite3.SQLITE_BUSY:          ErrBusy,
		sqlite3.SQLITE_BUSY_SNAPSHOT: ErrBusy,
		sqlite3.SQLITE_LOCKED:        ErrBusy,
		sqlite3.SQLITE_FULL:          ErrDiskFull,
		sqlite3.SQLITE_READONLY:      ErrReadOnly,
		sqlite3.SQLITE_CORRUPT:       ErrCorrupt,
		sqlite3.SQLITE_CORRUPT_INDEX: ErrCorrupt,
		sqlite3.SQLITE_NOTADB:        ErrNotOurs,
		sqlite3.SQLITE_CANTOPEN:      ErrCannotOpen,
	} {
		advice, kind := classify(code)
		require.ErrorIs(t, kind, want, "code %d", code)
		require.NotEmpty(t, advice, "code %d", code)
	}
	_, kind := classify(sqlite3.SQLITE_IOERR)
	require.NoError(t, kind, "passed on as it is, with the path")
}

// TestConnectionsAreWhatTheyShouldBe asks SQLite, because a driver that did not know our
// parameters would ignore them.
func TestConnectionsAreWhatTheyShouldBe(t *testing.T) {
	store := openInternal(t)
	f := store.file
	for _, c := range []struct {
		pool         *pool
		pragma, want string
	}{
		{f.writer, "journal_mode", "wal"},
		{f.writer, "synchronous", "2"},
		{f.writer, "query_only", "0"},
		{f.readers, "query_only", "1"},
		{f.readers, "busy_timeout", "5000"},
		{f.watcher, "query_only", "1"},
		{f.readers, "application_id", fmt.Sprint(applicationID)},
		{f.readers, "user_version", fmt.Sprint(latestSchema)},
	} {
		var got string
		require.NoError(t, c.pool.db.QueryRow("PRAGMA "+c.pragma).Scan(&got))
		require.Equal(t, c.want, got, c.pragma)
	}
}
