package kinesisstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

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

// alone is a store whose index nobody keeps up.
func alone(t testing.TB, c client) (*kinesisstore.Index, *kinesisstore.Store) {
	index := openIndex(t, c, newStream(t, c, 1), onSQLite.open(t))
	store, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{Limits: eventstore.Limits{EventBytes: 4 << 20}})
	require.NoError(t, err)
	return index, store
}

func puts(t testing.TB, c client, index *kinesisstore.Index) int {
	twin := openIndex(t, c, index.Stream().Name, onSQLite.open(t))
	count := &counting{Index: twin}
	require.NoError(t, reader{client: c, stream: index.Stream().Name, target: count}.drain(t.Context()))
	return count.records
}

func TestAnAppendThatNoIndexerSeesIsOfUnknownOutcomeAndItsCommitFindsOut(t *testing.T) {
	t.Parallel()
	c := &impatient{client: unlimited(nil)}
	index, store := alone(t, c)
	request := to("order-1", eventstore.NoStream, event("a"))
	_, err := store.Append(c.gone(t.Context()), request)
	unknown, ok := errors.AsType[*kinesisstore.OutcomeUnknownError](err)
	require.True(t, ok, "%v", err)
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, context.Canceled, "that would say that nothing was appended")
	require.ErrorContains(t, err, "shardId-000000000000, which no indexer has read yet")

	follow(t, reader{client: c, stream: index.Stream().Name, target: index})
	for range 2 {
		receipt, err := store.Append(kinesisstore.WithCommit(t.Context(), unknown.Commit), request)
		require.NoError(t, err)
		require.EqualValues(t, 1, receipt.Versions["order-1"])
	}
	require.Equal(t, []string{"order-1@1 a"}, contents(t, index))
}

func TestARecordIsPutUntilAPutIsAcknowledgedAndCountsOnce(t *testing.T) {
	t.Parallel()
	c := unlimited(fault.Script(map[string][]fault.Kind{"PutRecord": {
		fault.AnswerLost, fault.RequestLost, fault.Throttled, fault.AnswerLost, fault.Internal,
	}}))
	index, store := alone(t, c)
	follow(t, reader{client: c, stream: index.Stream().Name, target: index})
	receipt, err := store.Append(t.Context(), to("order-1", eventstore.Any, event("a")))
	require.NoError(t, err)
	require.EqualValues(t, 1, receipt.Versions["order-1"])
	receipt, err = store.Append(t.Context(), to("order-1", eventstore.Exactly(1), event("b")))
	require.NoError(t, err)
	require.EqualValues(t, 2, receipt.Versions["order-1"])
	require.Equal(t, []string{"order-1@1 a", "order-1@2 b"}, contents(t, index))
	require.Equal(t, 4, puts(t, c, index), "records: three of the first append, two of them copies")
}

// counting counts the records that an index is given.
type counting struct {
	*kinesisstore.Index

	records int
}

func (c *counting) Take(ctx context.Context, b batchOf) error {
	c.records += len(b.Records)
	return c.Index.Take(ctx, b)
}

func TestAnAppendThatKinesisNeverTakesIsNotOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	throttled := make([]fault.Kind, 1000)
	for n := range throttled {
		throttled[n] = fault.Throttled
	}
	_, store := alone(t, unlimited(fault.Script(map[string][]fault.Kind{"PutRecord": throttled})))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := store.Append(ctx, to("order-1", eventstore.Any, event("a")))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
}

func TestAnAppendThatDoesNotFitIntoARecordIsRefusedBeforeItIsPut(t *testing.T) {
	t.Parallel()
	c := unlimited(nil)
	index, store := alone(t, c)
	large := event("large")
	large.Data = make([]byte, 1<<20)
	_, err := store.Append(t.Context(), to("order-1", eventstore.Any, large))
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
	require.Zero(t, puts(t, c, index))
}

// spreading is a stream that puts records where it likes, from a moment on.
type spreading struct {
	client

	now bool
}

func (s *spreading) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, o ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	out, err := s.client.DescribeStreamSummary(ctx, in, o...)
	if err == nil && s.now {
		out.StreamDescriptionSummary.RecordDistributionStrategy = types.RecordDistributionStrategyAuto
	}
	return out, err
}

func TestAStreamThatIgnoresPartitionKeysIsRefused(t *testing.T) {
	t.Parallel()
	c := &spreading{client: unlimited(nil)}
	index, store := alone(t, c)
	c.now = true
	_, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{})
	require.ErrorIs(t, err, kinesisstore.ErrPartitionKeys)
	require.ErrorIs(t, kinesisstore.Indexer{API: c, Index: index}.Run(t.Context()), kinesisstore.ErrPartitionKeys)
	kinesisstore.LookNow(store)
	_, err = store.Append(t.Context(), to("order-1", eventstore.Any, event("a")))
	require.ErrorIs(t, err, kinesisstore.ErrPartitionKeys, "and an open store notices")
}

func TestANewIndexOfAStreamThatMayHaveLostItsBeginningIsRefused(t *testing.T) {
	t.Parallel()
	c := kinesisfake.New(kinesisfake.Options{Unlimited: true, Now: func() time.Time { return time.Now().Add(-25 * time.Hour) }})
	index := openIndex(t, c, newStream(t, c, 1), onSQLite.open(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	require.NoError(t, kinesisstore.Indexer{API: c, Index: index, OnError: func(err error) { cancel(err) }}.Run(ctx))
	require.ErrorIs(t, context.Cause(ctx), kinesisstore.ErrTrimmed)
	shards, err := index.Shards(t.Context())
	require.NoError(t, err)
	require.Empty(t, shards)
}

// What an indexer that stopped at once leaves behind must not hide that records have gone before the next one came.
func TestAnIndexThatWasOnlyBegunBeforeRecordsWereTrimmedIsRefused(t *testing.T) {
	t.Parallel()
	var age atomic.Int64
	c := kinesisfake.New(kinesisfake.Options{Unlimited: true, Now: func() time.Time { return time.Now().Add(time.Duration(age.Load())) }})
	age.Store(int64(-27 * time.Hour))
	name := newStream(t, c, 1)
	index := openIndex(t, c, name, onSQLite.open(t))
	age.Store(int64(-26 * time.Hour))
	put(t, c, name, record("order-1", 0, "a"))
	age.Store(0)
	kinesisstore.AtTime(index, func() time.Time { return time.Now().Add(-6 * time.Hour) }) // the stream is 21 hours old
	first := kinesisstore.Indexer{API: c, Index: index}
	to := consumer.Checkpoint{Sequence: fmt.Sprint(index.Stream().CreatedAt.Unix()), Seen: time.Now().UTC().Add(-6 * time.Hour).Truncate(time.Second)}
	require.NoError(t, kinesisstore.TargetOf(first).Take(t.Context(), consumer.Batch{Shard: consumer.Beginning, To: to}))
	kinesisstore.AtTime(index, time.Now)
	put(t, c, name, record("order-2", 0, "b"))

	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		if pollFor(ctx, index) {
			cancel(errors.New("it has gone on"))
		}
	}()
	require.NoError(t, kinesisstore.Indexer{API: c, Index: index, OnError: func(err error) { cancel(err) }}.Run(ctx))
	require.ErrorIs(t, context.Cause(ctx), kinesisstore.ErrTrimmed)
	require.Empty(t, contents(t, index))
}

// pollFor waits until the index has something.
func pollFor(ctx context.Context, index *kinesisstore.Index) bool {
	for ctx.Err() == nil {
		if shards, err := index.Shards(ctx); err == nil && len(shards) > 1 {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

func put(t testing.TB, c client, name string, r kinesisstore.Record) {
	data, err := r.Encode()
	require.NoError(t, err)
	_, err = c.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &name, PartitionKey: (*string)(&r.Stream), Data: data})
	require.NoError(t, err)
}

// asked is a client that is asked what the stream is.
type asked struct {
	client

	times     atomic.Int64
	meanwhile func() error
}

func (a *asked) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, o ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	if a.times.Add(1); a.meanwhile != nil {
		if err := a.meanwhile(); err != nil {
			return nil, err
		}
	}
	return a.client.DescribeStreamSummary(ctx, in, o...)
}

func TestOneAppendLooksAtTheStreamForAllAndNoneFailsByIt(t *testing.T) {
	t.Parallel()
	c := &asked{client: unlimited(nil)}
	index, store := alone(t, c)
	follow(t, reader{client: c, stream: index.Stream().Name, target: index})
	before := c.times.Load()
	c.meanwhile = func() error {
		if c.times.Load() > before+1 {
			return nil
		}
		_, err := store.Append(t.Context(), to("order-2", eventstore.Any, event("b")))
		require.NoError(t, err)
		return errors.New("LimitExceededException")
	}
	kinesisstore.LookNow(store)
	_, err := store.Append(t.Context(), to("order-1", eventstore.Any, event("a")))
	require.NoError(t, err)
	require.Equal(t, before+1, c.times.Load())
}

func TestAStoreThatAllowsLargerEventsThanItsIndexIsRefused(t *testing.T) {
	t.Parallel()
	c, path := unlimited(nil), filepath.Join(t.TempDir(), "index.db")
	inner, err := sqlite.Open(t.Context(), path, sqlite.Options{Limits: eventstore.Limits{EventBytes: 1000}})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = db.Close()
		_ = inner.Close(context.Background())
	})
	index := openIndex(t, c, newStream(t, c, 1), kinesisstore.SQLite(inner, db))
	for bytes, refused := range map[int]bool{0: true, 1001: true, 1000: false} {
		_, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{Limits: eventstore.Limits{EventBytes: bytes}})
		require.Equal(t, refused, errors.Is(err, eventstore.ErrTooLarge), "%d: %v", bytes, err)
		require.Equal(t, refused, err != nil)
	}
	require.Empty(t, contents(t, index))
}
