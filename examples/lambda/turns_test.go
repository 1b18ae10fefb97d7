//go:build unix

package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/lambdaapi"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// till is a stream of one shard, to which each item is sold once.
type till struct {
	*kinesisfake.Fake

	arn, shard string
	sold       int
}

func newTill(t *testing.T) *till {
	f := &till{Fake: kinesisfake.New(kinesisfake.Options{Unlimited: true})}
	_, err := f.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("sales"), ShardCount: aws.Int32(1)})
	require.NoError(t, err)
	stream, err := f.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("sales")})
	require.NoError(t, err)
	shards, err := f.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("sales")})
	require.NoError(t, err)
	f.arn, f.shard = *stream.StreamDescriptionSummary.StreamARN, *shards.Shards[0].ShardId
	return f
}

func (f *till) sell(t *testing.T, count int) {
	for range count {
		f.sold++
		_, err := f.PutRecord(t.Context(), &kinesis.PutRecordInput{
			StreamName: aws.String("sales"), PartitionKey: aws.String("x"), Data: fmt.Appendf(nil, `{"item":"%d","quantity":1}`, f.sold),
		})
		require.NoError(t, err)
	}
}

// mapping is what gives the function batches. It knows nothing of the worker.
type mapping struct {
	*till

	function func(context.Context, events.KinesisEvent) (events.KinesisEventResponse, error)
	given    int
}

// give gives the next records up to one, five at a time.
func (m *mapping) give(t *testing.T, upTo int) {
	iterator, err := m.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamARN: &m.arn, ShardId: &m.shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	require.NoError(t, err)
	out, err := m.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator.ShardIterator})
	require.NoError(t, err)
	for deadline := time.Now().Add(time.Minute); m.given < upTo; {
		require.False(t, time.Now().After(deadline), "the function does not take what it is given")
		batch := out.Records[m.given:min(m.given+5, upTo)]
		answer, err := m.function(t.Context(), m.event(batch))
		require.NoError(t, err)
		if len(answer.BatchItemFailures) == 0 { // else the worker was just there: it is given again
			m.given += len(batch)
		}
	}
}

func (m *mapping) event(batch []types.Record) (event events.KinesisEvent) {
	for _, r := range batch {
		event.Records = append(event.Records, events.KinesisEventRecord{
			EventID: m.shard + ":" + *r.SequenceNumber, EventSourceArn: m.arn,
			Kinesis: events.KinesisRecord{
				SequenceNumber: *r.SequenceNumber, PartitionKey: *r.PartitionKey, Data: r.Data,
				ApproximateArrivalTimestamp: events.SecondsEpochTime{Time: *r.ApproximateArrivalTimestamp},
			},
		})
	}
	return event
}

// works runs a worker, as a container does, until the function is called that it returns.
func (f *till) works(t *testing.T, db *database) (stop func()) {
	target, leases, err := sales{db.DB}.follow(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	worker := consumer.Worker{API: f, Stream: "sales", Target: target, Leases: leases, TTL: 3 * time.Second, OnError: func(err error) { t.Log(err) }}
	go func() { ended <- worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// counted waits until every sale is in the read model, and returns an error if one was counted twice.
func (f *till) counted(t *testing.T, db *database) error {
	var items, pieces int
	require.Eventually(t, func() bool {
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*), coalesce(sum(quantity), 0) FROM sold`).Scan(&items, &pieces))
		return items == f.sold
	}, time.Minute, 10*time.Millisecond, "of %d sales not all are counted", f.sold)
	if pieces != f.sold {
		return fmt.Errorf("%d sales were counted as %d", f.sold, pieces)
	}
	return nil
}

// openAt opens the database as the program does.
func openAt(t *testing.T, at string) *database {
	t.Setenv("DATABASE", at)
	db, err := open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.close(context.Background())) })
	return db
}

func TestLambdaAndAWorkerInAContainerTakeTurnsAndCountEachRecordOnce(t *testing.T) {
	for name, at := range map[string]func() string{
		"SQLite":   func() string { return t.TempDir() + "/lambda.db" },
		"Postgres": func() string { return postgrestest.Pool(t).Config().ConnString() },
	} {
		t.Run(name, func(t *testing.T) {
			db, f := openAt(t, at()), newTill(t)
			target, _, err := sales{db.DB}.follow(t.Context())
			require.NoError(t, err)
			lambda := &mapping{till: f, function: lambdaapi.Kinesis(f, target, lambdaapi.KinesisOptions{})}
			f.sell(t, 20)
			lambda.give(t, 12)
			stop := f.works(t, db) // goes on in the middle
			require.NoError(t, f.counted(t, db))
			stop()

			f.sell(t, 10)
			lambda.give(t, 30) // the first eight of which the worker has had
			require.NoError(t, f.counted(t, db))

			stop = f.works(t, db) // both at a time
			for range 6 {
				f.sell(t, 5)
				lambda.give(t, f.sold)
			}
			require.NoError(t, f.counted(t, db))
			stop()
			require.NoError(t, f.counted(t, db))
			require.Equal(t, 60, f.sold)
		})
	}
}

// The twin: a function whose checkpoints are not those of the worker.
func TestPlantedBugCheckpointsThatAreNotSharedAreFound(t *testing.T) {
	db, f := openAt(t, t.TempDir()+"/lambda.db"), newTill(t)
	other, err := consumer.OpenSQL(t.Context(), db.DB, "lambda")
	require.NoError(t, err)
	lambda := &mapping{till: f, function: lambdaapi.Kinesis(f, other.Target(add), lambdaapi.KinesisOptions{})}
	f.sell(t, 5)
	lambda.give(t, 3)
	stop := f.works(t, db)
	require.ErrorContains(t, f.counted(t, db), "5 sales were counted as 8")
	stop()
}
