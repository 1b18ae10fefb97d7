package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// A process is killed at a point of a transaction of its own that puts a row and appends an event.
func TestARowAndItsEventsSurviveKill9TogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	for point, survives := range map[string]int{"after the row": 0, "after the append": 0, "after the commit": 1} {
		t.Run(point, func(t *testing.T) {
			pool, store := withTable(t)
			ctx, kill := context.WithCancel(t.Context())
			err := runChild(ctx, "appends in a transaction of its own", pool.Config().ConnString(), point, func(line string) {
				require.Equal(t, point, line)
				kill()
			})
			require.ErrorContains(t, err, "killed")
			// This waits for the lock, until the server has noticed.
			_, err = store.Append(t.Context(), oneEvent("order-1"))
			require.NoError(t, err)
			var rows int
			require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM rows").Scan(&rows))
			require.Equal(t, survives, rows)
			require.EqualValues(t, survives+1, headOf(t, store))
		})
	}
}

// transact is a child that stops at a point of its transaction until it is killed.
func transact(ctx context.Context, url, stop string) error {
	reached := func(point string) {
		if point == stop {
			fmt.Println(point)
			select {}
		}
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		return err
	}
	err = store.Transact(ctx, pool, func(ctx context.Context, tx pgx.Tx, log eventstore.Store) error {
		if _, err := tx.Exec(ctx, "INSERT INTO rows VALUES (1)"); err != nil {
			return err
		}
		reached("after the row")
		_, err := log.Append(ctx, oneEvent("order-1"))
		reached("after the append")
		return err
	})
	reached("after the commit")
	return errors.Join(errors.New("nobody has killed it"), err)
}
