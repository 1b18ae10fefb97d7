package consumer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer/consumertest"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	_ "github.com/leftfold/leftfold/adapters/sqlite" // for its driver
)

// databases are what SQL is tested with.
var databases = map[string]func(t *testing.T) *sql.DB{
	"postgres": func(t *testing.T) *sql.DB {
		db := stdlib.OpenDBFromPool(postgrestest.Pool(t))
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		return db
	},
	"sqlite": func(t *testing.T) *sql.DB {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "consumer.db")+"?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_txlock=immediate")
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		return db
	},
}

func openSQL(t *testing.T, db *sql.DB) *consumer.SQL {
	t.Helper()
	store, err := consumer.OpenSQL(t.Context(), db, "orders")
	require.NoError(t, err)
	return store
}

func none(context.Context, string, []types.Record) error { return nil }

func TestMemory(t *testing.T) {
	t.Parallel()
	consumertest.RunLeases(t, func(*testing.T) consumer.LeaseStore { return consumer.NewMemory() })
	consumertest.RunTarget(t, func(*testing.T) consumer.Target {
		return consumer.Func{Checkpoints: consumer.NewMemory(), Handle: none}
	})
}

func TestTheLedgerOfTheseTestsIsATarget(t *testing.T) {
	t.Parallel()
	consumertest.RunTarget(t, func(*testing.T) consumer.Target { return newLedger() })
}

func TestSQL(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			var names int
			var mu sync.Mutex
			store := func(t *testing.T) *consumer.SQL { // one database, a consumer for each clause
				mu.Lock()
				names++
				name := fmt.Sprint("orders-", names)
				mu.Unlock()
				store, err := consumer.OpenSQL(t.Context(), db, name)
				require.NoError(t, err)
				return store
			}
			t.Run("leases", func(t *testing.T) {
				consumertest.RunLeases(t, func(t *testing.T) consumer.LeaseStore { return store(t) })
			})
			t.Run("checkpoints", func(t *testing.T) {
				consumertest.RunTarget(t, func(t *testing.T) consumer.Target {
					return consumer.Func{Checkpoints: store(t), Handle: none}
				})
			})
			t.Run("a target", func(t *testing.T) {
				consumertest.RunTarget(t, func(t *testing.T) consumer.Target {
					return store(t).Target(func(context.Context, *sql.Tx, consumer.Batch) error { return nil })
				})
			})
		})
	}
}

func TestManyProcessesMayCreateTheTables(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					_, err := consumer.OpenSQL(t.Context(), db, "orders")
					assert.NoError(t, err)
				})
			}
			all.Wait()
		})
	}
}

func record(sequence, value string) types.Record {
	return types.Record{SequenceNumber: &sequence, PartitionKey: aws.String("key"), Data: []byte(value)}
}

func TestRowsAndCheckpointAreCommittedTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			store := openSQL(t, db)
			_, err := db.ExecContext(t.Context(), "CREATE TABLE records (value text)")
			require.NoError(t, err)
			fails := true
			target := store.Target(func(ctx context.Context, tx *sql.Tx, batch consumer.Batch) error {
				for _, r := range batch.Records {
					if _, err := tx.ExecContext(ctx, "INSERT INTO records (value) VALUES ($1)", string(r.Data)); err != nil {
						return err
					}
				}
				if fails {
					return assert.AnError
				}
				return nil
			})
			batch := consumer.Batch{
				Shard: "s", To: consumer.Checkpoint{Sequence: "7", Seen: time.Unix(1764205323, 0).UTC()},
				Records: []types.Record{record("6", "a"), record("7", "b")},
			}
			rows := func() (n int) {
				require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM records").Scan(&n))
				return n
			}
			require.ErrorIs(t, target.Take(t.Context(), batch), assert.AnError)
			at, err := target.Checkpoint(t.Context(), "s")
			require.NoError(t, err)
			assert.Zero(t, at)
			assert.Zero(t, rows())

			fails = false
			require.NoError(t, target.Take(t.Context(), batch))
			require.ErrorIs(t, target.Take(t.Context(), batch), consumer.ErrLost)
			at, err = target.Checkpoint(t.Context(), "s")
			require.NoError(t, err)
			assert.Equal(t, batch.To, at)
			assert.Equal(t, 2, rows())
		})
	}
}

func TestAFunctionGetsRecordsAgainUntilItSucceedsAndNotWhenItIsTooLate(t *testing.T) {
	t.Parallel()
	var got []string
	fails := true
	target := consumer.Func{Checkpoints: consumer.NewMemory(), Handle: func(_ context.Context, _ string, records []types.Record) error {
		for _, r := range records {
			got = append(got, string(r.Data))
		}
		if fails {
			return errors.New("not now")
		}
		return nil
	}}
	batch := consumer.Batch{Shard: "s", To: consumer.Checkpoint{Sequence: "6"}, Records: []types.Record{record("6", "a")}}
	require.ErrorContains(t, target.Take(t.Context(), batch), "not now")
	fails = false
	require.NoError(t, target.Take(t.Context(), batch))
	require.ErrorIs(t, target.Take(t.Context(), batch), consumer.ErrLost)
	assert.Equal(t, []string{"a", "a"}, got)
}
