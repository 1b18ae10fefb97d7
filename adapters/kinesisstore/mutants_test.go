package kinesisstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/fault"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// zombie has a worker that was taken over from come back: it must be told, and move nothing.
func zombie(t *testing.T, index *kinesisstore.Index) error {
	log := records(t, record("order-1", 0, "a"), record("order-1", 1, "b"))
	require.NoError(t, index.Take(t.Context(), batch("shard-1", "", log)))
	err := index.Take(t.Context(), batch("shard-1", "", log[:1]))
	at, failed := index.Checkpoint(t.Context(), "shard-1")
	require.NoError(t, failed)
	if !errors.Is(err, consumer.ErrLost) || at.Sequence != "2" {
		return fmt.Errorf("the zombie got %w, and the checkpoint is at %s", err, at.Sequence)
	}
	return nil
}

func TestAnIndexThatDoesNotCompareCheckpointsIsCaught(t *testing.T) {
	t.Parallel()
	require.NoError(t, zombie(t, byHand(t, onSQLite.open(t))))
	mutant := byHand(t, onSQLite.open(t))
	kinesisstore.MoveBlindly(mutant)
	require.ErrorContains(t, zombie(t, mutant), "the checkpoint is at 1")
}

// renaming is Kinesis as a writer sees it who gives a record that is put again another commit id: its first
// put goes under one of its own.
type renaming struct {
	*kinesisfake.Fake

	puts int
}

func (r *renaming) PutRecord(ctx context.Context, in *kinesis.PutRecordInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error) {
	if r.puts++; r.puts > 1 {
		return r.Fake.PutRecord(ctx, in, o...)
	}
	at := "0"
	first, err := kinesisstore.Decode(types.Record{Data: in.Data, PartitionKey: in.PartitionKey, SequenceNumber: &at})
	if err != nil {
		return nil, err
	}
	first.Commit = kinesisstore.NewCommitID()
	data, err := first.Encode()
	if err != nil {
		return nil, err
	}
	return r.Fake.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: in.StreamName, PartitionKey: in.PartitionKey, Data: data}, o...)
}

func TestARecordThatIsPutAgainUnderAnotherCommitIsCaught(t *testing.T) {
	t.Parallel()
	for _, mutant := range []bool{false, true} {
		t.Run(fmt.Sprint("another commit id: ", mutant), func(t *testing.T) {
			t.Parallel()
			fake := unlimited(fault.Script(map[string][]fault.Kind{"PutRecord": {fault.AnswerLost}}))
			var c client = fake
			if mutant {
				c = &renaming{Fake: fake}
			}
			index, store := alone(t, c)
			follow(t, reader{client: c, stream: index.Stream().Name, target: index})
			_, err := store.Append(t.Context(), to("order-1", eventstore.Any, event("a")))
			require.NoError(t, err)
			want := []string{"order-1@1 a"}
			if mutant {
				want = append(want, "order-1@2 a") // once for each commit
			}
			require.Equal(t, want, contents(t, index))
		})
	}
}

// careless is a store that takes what an index appends at whatever version the stream is.
type careless struct{ *sqlite.Store }

func (c careless) Transact(ctx context.Context, db interface {
	BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error)
}, f func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error,
) error {
	return c.Store.Transact(ctx, db, func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error {
		return f(ctx, tx, anyVersion{store})
	})
}

type anyVersion struct{ eventstore.Store }

func (a anyVersion) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	r.Writes = slices.Clone(r.Writes)
	r.Writes[0].Expected = eventstore.Any
	return a.Store.Append(ctx, r)
}

func TestAnIndexThatDoesNotLookForForeignWritesIsCaught(t *testing.T) {
	t.Parallel()
	for _, mutant := range []bool{false, true} {
		t.Run(fmt.Sprint("it does not look: ", mutant), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "index.db")
			database := openSQLite(t, path)
			if mutant {
				store, ok := kinesisstore.InnerStore(database).(*sqlite.Store)
				require.True(t, ok)
				db, err := sql.Open("sqlite", path)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, db.Close()) })
				database = kinesisstore.SQLite(careless{store}, db)
			}
			index := byHand(t, database)
			_, err := kinesisstore.InnerStore(database).Append(t.Context(), to("order-1", eventstore.Any, event("forged")))
			require.NoError(t, err)
			err = index.Take(t.Context(), batch("shard-1", "", records(t, record("order-1", 0, "a"))))
			if !mutant {
				require.ErrorIs(t, err, kinesisstore.ErrForeignWrite)
				require.Equal(t, []string{"order-1@1 forged"}, contents(t, index))
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"order-1@1 forged", "order-1@2 a"}, contents(t, index), "no fold of the stream has this")
		})
	}
}

func TestAnIndexIsNotMadeInAStoreThatHasEvents(t *testing.T) {
	t.Parallel()
	database := onSQLite.open(t)
	_, err := kinesisstore.InnerStore(database).Append(t.Context(), to("order-1", eventstore.Any, event("a")))
	require.NoError(t, err)
	_, err = kinesisstore.OpenIndex(t.Context(), database, kinesisstore.Stream{Name: "events", ARN: "arn:events"})
	require.ErrorIs(t, err, kinesisstore.ErrForeignWrite)
}

// Of two processes that make an index, one is quicker, and has events in it before the other one has looked.
func TestAnIndexThatAnotherProcessHasJustMadeIsNoForeignOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "index.db")
	inner, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(db.Close(), inner.Close(context.Background()))) })
	stream := kinesisstore.Stream{Name: "events", ARN: "arn:events"}
	slow := &interrupted{Store: inner, meanwhile: func() {
		quick, err := kinesisstore.OpenIndex(t.Context(), openSQLite(t, path), stream)
		require.NoError(t, err)
		require.NoError(t, quick.Take(t.Context(), batch("shard-1", "", records(t, record("order-1", 0, "a")))))
	}}
	index, err := kinesisstore.OpenIndex(t.Context(), kinesisstore.SQLite(slow, db), stream)
	require.NoError(t, err)
	require.Equal(t, []string{"order-1@1 a"}, contents(t, index))
}
