package kinesisstore_test

import (
	"context"
	"fmt"
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
)

// hanging is the store of an index that does not answer from a moment on.
type hanging struct {
	*sqlite.Store

	hangs func() bool
}

func (h *hanging) Head(ctx context.Context) (eventstore.Token, error) {
	if h.hangs() {
		<-ctx.Done()
		return eventstore.Token{}, ctx.Err()
	}
	return h.Store.Head(ctx)
}

func TestAnAppendReturnsAlthoughTheIndexHangs(t *testing.T) {
	t.Parallel()
	c, database := unlimited(nil), onSQLite.open(t)
	inner, ok := kinesisstore.InnerStore(database).(*sqlite.Store)
	require.True(t, ok)
	h := &hanging{inner, func() bool { return false }}
	index := openIndex(t, c, newStream(t, c, 1), kinesisstore.WithStore(database, h))
	h.hangs = func() bool { // once the record is in: it is the outcome that is asked for then
		head, err := inner.Head(context.Background())
		return err != nil || head.Position > 0
	}
	follow(t, reader{client: c, stream: index.Stream().Name, target: index})
	store, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{})
	require.NoError(t, err)
	kinesisstore.SettleWithin(store, 50*time.Millisecond)
	_, err = store.Append(t.Context(), to("order-1", eventstore.NoStream, event("a")))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "read the index")
}

// revoked is Kinesis whose answer to the first put is lost, and which takes nothing more from us.
type revoked struct {
	client

	puts atomic.Int64
}

func (r *revoked) PutRecord(ctx context.Context, in *kinesis.PutRecordInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error) {
	if r.puts.Add(1) > 1 {
		return nil, &types.AccessDeniedException{}
	}
	_, err := r.client.PutRecord(ctx, in, o...)
	if err == nil {
		err = context.DeadlineExceeded // of the connection's own
	}
	return nil, err
}

func TestARefusalForGoodEndsAnAppendThatIsInDoubt(t *testing.T) {
	t.Parallel()
	c := &revoked{client: unlimited(nil)}
	index, store := alone(t, c)
	_, err := store.Append(t.Context(), to("order-1", eventstore.NoStream, event("a")))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "AccessDenied")
	require.EqualValues(t, 2, c.puts.Load())
	require.Equal(t, 1, puts(t, c, index), "the first one was taken")
}

func TestAnOutcomeThatIsUnknownSaysAtWhichVersion(t *testing.T) {
	t.Parallel()
	c := &impatient{client: unlimited(nil), end: func() {}}
	index, store := alone(t, c)
	stop := follow(t, reader{client: c, stream: index.Stream().Name, target: index})
	_, err := store.Append(t.Context(), to("order-1", eventstore.NoStream, event("a"), event("b")))
	require.NoError(t, err)
	stop()
	for name, expected := range map[string]eventstore.ExpectedVersion{"any": eventstore.Any, "2": eventstore.Exactly(2)} {
		ctx := c.gone(kinesisstore.WithCommit(t.Context(), kinesisstore.NewCommitID()))
		for try := range 2 { // the second one ends before it has put anything
			_, err = store.Append(ctx, to("order-1", expected, event("c")))
			unknown := &kinesisstore.OutcomeUnknownError{}
			if require.ErrorAs(t, err, &unknown, fmt.Sprint(name, try)); try == 0 || name == "2" {
				require.EqualValues(t, 2, unknown.Expect, fmt.Sprint(name, try))
			}
		}
	}
}

// listing is Kinesis that counts how often it is asked for its shards.
type listing struct {
	client

	times atomic.Int64
}

func (l *listing) ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	l.times.Add(1)
	return l.client.ListShards(ctx, in, o...)
}

func TestAnArchiverAsksForTheParentsOfAShardOnce(t *testing.T) {
	t.Parallel()
	c := &listing{client: unlimited(nil)}
	index := openIndex(t, c, newStream(t, c, 1), onSQLite.open(t))
	archiver := kinesisstore.NewArchiver(c, kinesisstore.Directory(t.TempDir()), index.Stream(), index)
	begin(t, index)
	log := records(t, record("order-1", 0, "a"), record("order-1", 1, "b"), record("order-1", 2, "c"))
	from := ""
	for n := range log {
		require.NoError(t, archiver.Take(t.Context(), batch("shardId-000000000000", from, log[n:n+1])))
		from = *log[n].SequenceNumber
	}
	end := consumer.Checkpoint{Sequence: from, Ended: true}
	require.NoError(t, archiver.Take(t.Context(), consumer.Batch{Shard: "shardId-000000000000", From: consumer.Checkpoint{Sequence: from}, To: end}))
	require.EqualValues(t, 1, c.times.Load())
}
