package kinesisstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/fault"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// client is all that the tests call of Kinesis: the fake and the SDK's client have it.
type client interface {
	kinesisstore.API
	CreateStream(ctx context.Context, in *kinesis.CreateStreamInput, o ...func(*kinesis.Options)) (*kinesis.CreateStreamOutput, error)
	SplitShard(ctx context.Context, in *kinesis.SplitShardInput, o ...func(*kinesis.Options)) (*kinesis.SplitShardOutput, error)
	MergeShards(ctx context.Context, in *kinesis.MergeShardsInput, o ...func(*kinesis.Options)) (*kinesis.MergeShardsOutput, error)
	PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
}

var streams atomic.Int64

// newStream makes a stream that no other test has.
func newStream(t testing.TB, c client, shards int32) string {
	name := fmt.Sprintf("events-%d-%d", time.Now().UnixNano(), streams.Add(1))
	_, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		out, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		return err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive
	}, 20*time.Second, 10*time.Millisecond)
	return name
}

func unlimited(faults fault.Plan) *kinesisfake.Fake {
	return kinesisfake.New(kinesisfake.Options{Unlimited: true, Faults: faults})
}

// database is a kind of database that an index may be in. Each place is a new one.
type database struct {
	name  string
	place func(t testing.TB) indexPlace
}

// indexPlace is where one index is. Each call opens it, as another process would.
type indexPlace = func(t testing.TB) kinesisstore.Database

func (d database) open(t testing.TB) kinesisstore.Database { return d.place(t)(t) }

var onSQLite = database{"sqlite", func(t testing.TB) indexPlace {
	path := filepath.Join(t.TempDir(), "index.db")
	return func(t testing.TB) kinesisstore.Database { return openSQLite(t, path) }
}}

var onPostgres = database{"postgres", func(t testing.TB) indexPlace {
	pool := postgrestest.Pool(t)
	return func(t testing.TB) kinesisstore.Database { return openPostgres(t, pool) }
}}

var databases = []database{onSQLite, onPostgres}

func openPostgres(t testing.TB, pool *pgxpool.Pool) kinesisstore.Database {
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() {
		_ = db.Close()
		_ = store.Close(context.Background())
	})
	return kinesisstore.Postgres(store, db, "")
}

func openSQLite(t testing.TB, path string) kinesisstore.Database {
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = db.Close()
		_ = store.Close(context.Background())
	})
	return kinesisstore.SQLite(store, db)
}

func openIndex(t testing.TB, c consumer.API, name string, in kinesisstore.Database) *kinesisstore.Index {
	stream, err := kinesisstore.Describe(t.Context(), c, name)
	require.NoError(t, err)
	index, err := kinesisstore.OpenIndex(t.Context(), in, stream)
	require.NoError(t, err)
	return index
}

// openStore opens a store of a stream, with its index in a place, and runs an indexer for it. The function closes all
// of it, as the end of a process does.
func openStore(t testing.TB, c client, name string, in indexPlace) (store *kinesisstore.Store, end func()) {
	index := openIndex(t, c, name, in(t))
	stop := follow(t, reader{client: c, stream: name, target: index})
	store, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{})
	require.NoError(t, err)
	end = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = store.Close(ctx)
		stop()
		_ = kinesisstore.InnerStore(kinesisstore.DatabaseOf(index)).(interface {
			Close(ctx context.Context) error
		}).Close(context.Background())
	})
	t.Cleanup(end)
	return store, end
}

// reader reads a stream into a target, shard by shard: the smallest consumer there is. Its faults are
// those that a test plants.
type reader struct {
	client consumer.API
	stream string
	target consumer.Target
	// childrenFirst has it read a shard before its parents: the bug that the store must notice.
	childrenFirst bool
}

// follow runs a reader until it is told to stop, or the test ends.
func follow(t testing.TB, r reader) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for ctx.Err() == nil {
			if moved, err := r.pass(ctx); err != nil || !moved {
				select {
				case <-ctx.Done():
				case <-time.After(3 * time.Millisecond):
				}
			}
		}
	}()
	stop = func() {
		cancel()
		<-stopped
	}
	t.Cleanup(stop)
	return stop
}

// drain reads all that the stream has.
func (r reader) drain(ctx context.Context) error {
	for {
		moved, err := r.pass(ctx)
		if err != nil && !passing(err) || err == nil && !moved {
			return err
		}
	}
}

// passing reports whether an error is one of those that a script of faults makes.
func passing(err error) bool {
	text := err.Error()
	for _, passes := range []string{"planned fault", "EOF", "xpiredIterator", "ThroughputExceeded"} {
		if strings.Contains(text, passes) {
			return true
		}
	}
	return false
}

// pass reads each shard once that may be read. A shard that fails does not hold up the others.
func (r reader) pass(ctx context.Context) (moved bool, err error) {
	shards, err := r.shards(ctx)
	if err != nil {
		return false, err
	}
	ended := map[string]bool{}
	for _, s := range shards {
		at, err := r.target.Checkpoint(ctx, *s.ShardId)
		if err != nil {
			return false, err
		}
		ended[*s.ShardId] = at.Ended
	}
	there := map[string]bool{}
	for _, s := range shards {
		there[*s.ShardId] = true
	}
	var failed []error
	for n := range shards {
		s := shards[n]
		if r.childrenFirst {
			s = shards[len(shards)-1-n]
		}
		waits := false
		for _, parent := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			waits = waits || parent != nil && there[*parent] && !ended[*parent]
		}
		if ended[*s.ShardId] || waits && !r.childrenFirst {
			continue
		}
		did, err := r.read(ctx, *s.ShardId)
		moved = moved || did
		failed = append(failed, err)
	}
	return moved, errors.Join(failed...)
}

func (r reader) shards(ctx context.Context) (all []types.Shard, err error) {
	in := &kinesis.ListShardsInput{StreamName: &r.stream}
	for {
		out, err := r.client.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.Shards...)
		if out.NextToken == nil {
			return all, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

func (r reader) read(ctx context.Context, shard string) (moved bool, err error) {
	at, err := r.target.Checkpoint(ctx, shard)
	if err != nil {
		return false, err
	}
	in := &kinesis.GetShardIteratorInput{StreamName: &r.stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if at.Sequence != "" {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &at.Sequence
	}
	it, err := r.client.GetShardIterator(ctx, in)
	if err != nil {
		return false, err
	}
	for iterator := it.ShardIterator; ; {
		out, err := r.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return moved, err
		}
		to := consumer.Checkpoint{Sequence: at.Sequence, Ended: out.NextShardIterator == nil, Seen: at.Seen}
		if n := len(out.Records); n > 0 {
			to.Sequence = *out.Records[n-1].SequenceNumber
		}
		if to.IsAt(at) {
			return moved, nil
		}
		if err := r.target.Take(ctx, consumer.Batch{Shard: shard, From: at, To: to, Records: out.Records}); err != nil {
			return moved, err
		}
		if at, iterator, moved = to, out.NextShardIterator, true; to.Ended {
			return true, nil
		}
	}
}

func event(name string) eventstore.EventData {
	return eventstore.EventData{ID: eventstore.NewEventID(), Type: name, SchemaVersion: 1, Data: []byte(name)}
}

func to(stream eventstore.StreamID, expected eventstore.ExpectedVersion, events ...eventstore.EventData) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: expected, Events: events}}}
}

// begin stores what a consumer finds when it first begins.
func begin(t testing.TB, index *kinesisstore.Index) {
	to := consumer.Checkpoint{Sequence: fmt.Sprint(index.Stream().CreatedAt.Unix()), Seen: time.Now().UTC().Truncate(time.Second)}
	require.NoError(t, index.Take(t.Context(), consumer.Batch{Shard: consumer.Beginning, To: to}))
}

type batchOf = consumer.Batch

// impatient is Kinesis for a caller whose context ends as soon as his record is on the stream.
type impatient struct {
	client

	end context.CancelFunc
}

func (i *impatient) PutRecord(ctx context.Context, in *kinesis.PutRecordInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error) {
	defer i.end()
	return i.client.PutRecord(ctx, in, o...)
}

// gone returns a context that ends with the next record that is put.
func (i *impatient) gone(ctx context.Context) context.Context {
	ctx, i.end = context.WithCancel(ctx)
	return ctx
}
