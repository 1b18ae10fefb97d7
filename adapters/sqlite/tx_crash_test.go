package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

// Where a process is killed in a transaction of its own that puts a row and appends an event.
var killedAt = []struct {
	point    string
	survives int // rows, and events
}{
	{"after the row", 0},
	{"after the append", 0},
	{"after the commit", 1},
}

func TestARowAndItsEventsSurviveKill9TogetherOrNotAtAll(t *testing.T) {
	for n, killed := range killedAt {
		t.Run(killed.point, func(t *testing.T) {
			path := newPath(t)
			process, reached := startChild(t, path, childTransacts, n)
			require.True(t, reached.Scan(), "the child ended by itself")
			require.Equal(t, killed.point, reached.Text())
			require.NoError(t, process.Process.Kill())
			_ = process.Wait() // "signal: killed"

			store, db := openStore(t, path), openDB(t, path, "")
			rows, err := transactionsOn(store, db).Rows(t.Context())
			require.NoError(t, err)
			require.Equal(t, killed.survives, rows)
			require.EqualValues(t, killed.survives, headOf(t, store))
			_, err = store.Append(t.Context(), loneEvent("order-1"))
			require.NoError(t, err, "the lock went with the process")
		})
	}
}

// transact is a child that stops at a point of its transaction until it is killed.
func transact(path string) error {
	var stop int
	if _, err := fmt.Sscan(os.Getenv(childCommands), &stop); err != nil {
		return err
	}
	reached := func(n int) {
		if n == stop {
			fmt.Println(killedAt[n].point)
			select {}
		}
	}
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE mine (id INTEGER PRIMARY KEY)"); err != nil {
		return err
	}
	err = store.Transact(ctx, db, func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error {
		if err := putRow(ctx, tx); err != nil {
			return err
		}
		reached(0)
		_, err := log.Append(ctx, loneEvent("order-1"))
		reached(1)
		return err
	})
	reached(2)
	return errors.Join(errors.New("nobody has killed it"), err)
}
