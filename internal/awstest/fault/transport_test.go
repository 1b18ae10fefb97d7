package fault_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// once makes the client do what it is told once, without the SDK's retries.
func once(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

func TestFaultsInFrontOfAnEmulator(t *testing.T) {
	t.Parallel()
	transport := &fault.Transport{Over: emulators.Transport, Plan: fault.Script(map[string][]fault.Kind{
		"PutRecord":  {fault.AnswerLost, fault.RequestLost, fault.Throttled, fault.Internal},
		"PutRecords": {fault.Partial},
		"GetRecords": {fault.ExpiredIterator, fault.Empty},
	})}
	client := awstest.Kinesis(t, transport)
	stream, key := aws.String("faults-"+rand.Text()), aws.String("k")
	awstest.CreateStream(t, client, *stream, 1)

	for i, code := range []string{"", "", "ProvisionedThroughputExceededException", "InternalFailure"} {
		_, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: stream, PartitionKey: key, Data: fmt.Append(nil, i)}, once)
		require.Error(t, err)
		if code == "" {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			continue
		}
		requireCode(t, err, code)
	}
	in := &kinesis.PutRecordsInput{StreamName: stream}
	for i := range 4 {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: key, Data: fmt.Append(nil, "batch-", i)})
	}
	out, err := client.PutRecords(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, int32(2), *out.FailedRecordCount)
	require.Len(t, out.Records, 4)
	for i, entry := range out.Records {
		assert.Equal(t, i%2 == 1, entry.ErrorCode != nil)
		assert.Equal(t, i%2 == 0, entry.SequenceNumber != nil)
	}

	first, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	require.NoError(t, err)
	_, err = client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: first.ShardIterator})
	requireCode(t, err, "ExpiredIteratorException")
	empty, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: first.ShardIterator})
	require.NoError(t, err)
	assert.Empty(t, empty.Records)
	all, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: empty.NextShardIterator})
	require.NoError(t, err)
	var texts []string
	for _, r := range all.Records {
		texts = append(texts, string(r.Data))
	}
	assert.Equal(t, []string{"0", "batch-0", "batch-2"}, texts, "the record whose answer was lost is there")
	for _, kind := range []fault.Kind{fault.AnswerLost, fault.RequestLost, fault.Throttled, fault.Internal, fault.Partial, fault.ExpiredIterator, fault.Empty} {
		assert.Equal(t, 1, transport.Made(kind), kind)
	}
}

// The SDK retries a put whose answer was lost: the record is there twice.
func TestTheSDKMakesTwoRecordsOfALostAnswer(t *testing.T) {
	t.Parallel()
	transport := &fault.Transport{Over: emulators.Transport, Plan: fault.Script(map[string][]fault.Kind{"PutRecord": {fault.AnswerLost}})}
	client := awstest.Kinesis(t, transport)
	stream := aws.String("twice-" + rand.Text())
	awstest.CreateStream(t, client, *stream, 1)
	_, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("k"), Data: []byte("x")})
	require.NoError(t, err)
	first, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	require.NoError(t, err)
	all, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: first.ShardIterator})
	require.NoError(t, err)
	assert.Len(t, all.Records, 2)
}

func TestWhatIsNoBatchGoesThroughWhole(t *testing.T) {
	t.Parallel()
	asked := 0
	transport := &fault.Transport{
		Over: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r}, nil
		}),
		Plan: func(string) fault.Kind { return fault.Partial },
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/", http.NoBody)
	require.NoError(t, err)
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
	answer, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Equal(t, http.StatusTeapot, answer.StatusCode)
	assert.Equal(t, 1, asked)
	assert.Zero(t, transport.Made(fault.Partial))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func requireCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, code, api.ErrorCode())
}

// The dice of a seed fall the same again, and about as often as they should.
func TestRandomPlansRepeat(t *testing.T) {
	t.Parallel()
	chances := []fault.Chance{{"PutRecord", fault.AnswerLost, 0.1}, {"PutRecord", fault.Throttled, 0.1}, {"GetRecords", fault.Empty, 0.5}}
	throw := func() []fault.Kind {
		plan := fault.Random(7, chances...)
		var kinds []fault.Kind
		for range 1000 {
			kinds = append(kinds, plan.Next("PutRecord"))
		}
		return kinds
	}
	kinds := throw()
	assert.Equal(t, kinds, throw())
	counts := map[fault.Kind]int{}
	for _, kind := range kinds {
		counts[kind]++
	}
	assert.InDelta(t, 100, counts[fault.AnswerLost], 40)
	assert.InDelta(t, 100, counts[fault.Throttled], 40)
	assert.Zero(t, counts[fault.Empty], "a chance is one operation's")
}
