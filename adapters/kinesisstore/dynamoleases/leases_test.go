package dynamoleases_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer/consumertest"
	"github.com/leftfold/leftfold/adapters/kinesisstore/dynamoleases"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/awstest/fault"
)

var _ consumer.LeaseStore = (*dynamoleases.Leases)(nil)

var tables sync.Map // of tests, which are more than one of the same name under -count

// table is a name of the test's own.
func table(t *testing.T) string {
	t.Helper()
	name, _ := tables.LoadOrStore(t, rand.Text())
	return fmt.Sprint("leases-", name)
}

func open(t *testing.T, api dynamoleases.API) *dynamoleases.Leases {
	t.Helper()
	leases, err := dynamoleases.Open(t.Context(), api, table(t))
	require.NoError(t, err)
	return leases
}

func TestLeases(t *testing.T) {
	t.Parallel()
	client := awstest.DynamoDB(t, nil)
	consumertest.RunLeases(t, func(t *testing.T) consumer.LeaseStore { return open(t, client) })
}

func TestWorkersThatStartTogetherMakeOneTable(t *testing.T) {
	t.Parallel()
	client := awstest.DynamoDB(t, nil)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := dynamoleases.Open(t.Context(), client, table(t))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	open(t, client) // it is there already
}

// small is a DynamoDB whose pages have one item.
type small struct{ dynamoleases.API }

func (s small) Scan(ctx context.Context, in *dynamodb.ScanInput, options ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	in.Limit = aws.Int32(1)
	return s.API.Scan(ctx, in, options...)
}

func TestLeasesAreListedFromAllPages(t *testing.T) {
	t.Parallel()
	leases := open(t, small{awstest.DynamoDB(t, nil)})
	var want []consumer.Lease
	for i := range 5 {
		want = append(want, consumer.Lease{Shard: fmt.Sprint(i), Owner: "one", Counter: 1})
		require.NoError(t, leases.Write(t.Context(), want[i]))
	}
	got, err := leases.List(t.Context())
	require.NoError(t, err)
	assert.ElementsMatch(t, want, got)
}

// lossy loses the answers to the first writes, after they were done.
func lossy(t *testing.T) dynamoleases.API {
	t.Helper()
	return awstest.DynamoDB(t, &fault.Transport{Over: emulators.Transport, Plan: fault.Script(map[string][]fault.Kind{
		"PutItem": {fault.AnswerLost}, "DeleteItem": {fault.AnswerLost},
	})})
}

// A lost lease is another worker's; a write of our own must not be taken for that.
func TestALostAnswerIsNotALostLease(t *testing.T) {
	t.Parallel()
	leases := open(t, lossy(t))
	lease := consumer.Lease{Shard: "a", Owner: "one", Counter: 1}
	err := leases.Write(t.Context(), lease)
	require.Error(t, err)
	require.NotErrorIs(t, err, consumer.ErrLost)
	stored, err := leases.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []consumer.Lease{lease}, stored, "it was written")

	err = leases.Remove(t.Context(), lease)
	require.Error(t, err)
	require.NotErrorIs(t, err, consumer.ErrLost)
	stored, err = leases.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, stored, "it was removed")
}

// deaf is the planted bug: the SDK repeats writes as it likes.
type deaf struct{ dynamoleases.API }

func (d deaf) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return d.API.PutItem(ctx, in)
}

func TestWithTheSDKsRepetitionsALostAnswerWouldBeALostLease(t *testing.T) {
	t.Parallel()
	leases := open(t, deaf{lossy(t)})
	err := leases.Write(t.Context(), consumer.Lease{Shard: "a", Owner: "one", Counter: 1})
	require.ErrorIs(t, err, consumer.ErrLost)
}

func TestATableOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	client := awstest.DynamoDB(t, nil)
	leases := open(t, client)
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table(t)), Item: map[string]types.AttributeValue{
		"leaseKey": &types.AttributeValueMemberS{Value: "an order"},
	}})
	require.NoError(t, err)
	_, err = leases.List(t.Context())
	require.ErrorContains(t, err, "not a consumer's own")
}
