package shop_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
	"github.com/leftfold/leftfold/relay"
)

// What the services decide goes on to a bus, once and in the order of each stream.
func TestTortureEventsGoOnToKinesis(t *testing.T) {
	t.Parallel()
	fake := kinesisfake.New(kinesisfake.Options{})
	_, err := fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("shop"), ShardCount: aws.Int32(2)})
	require.NoError(t, err)
	c := ways["a saga directs"](t)
	c.Feed = kinesisstore.Feed{API: fake, Stream: "shop"}
	start(t, c).goesOn(t, func() (all [][]byte) {
		shards, err := fake.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("shop")})
		require.NoError(t, err)
		for _, shard := range shards.Shards {
			at, err := fake.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("shop"), ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			require.NoError(t, err)
			got, err := fake.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator})
			require.NoError(t, err)
			for _, record := range got.Records {
				all = append(all, record.Data)
			}
		}
		return all
	})
}

func TestTortureEventsGoOnToEventBridge(t *testing.T) {
	t.Parallel()
	fake := ebfake.New(ebfake.Options{})
	t.Cleanup(fake.Close)
	c := ways["nobody directs"](t)
	c.Feed = eventbridgebus.Publisher{Client: fake.EventBridge(), Bus: "default", Source: "shop"}
	start(t, c).goesOn(t, func() (all [][]byte) {
		for _, detail := range fake.Taken() {
			all = append(all, detail)
		}
		return all
	})
}

// goesOn places orders, and waits until each event that the services decided on has arrived.
func (r running) goesOn(t *testing.T, arrived func() [][]byte) {
	t.Helper()
	report := r.places(t, four(), feed.Options{Stock: 10})
	var versions map[string][]int
	require.Eventually(t, func() bool {
		versions = map[string][]int{}
		ids := map[string]bool{}
		for _, text := range arrived() {
			m, err := relay.ParseCloudEvent(text)
			require.NoError(t, err)
			ids[m.ID] = true
			stream := m.Source.String() + " " + string(m.Stream)
			if !slices.Contains(versions[stream], int(m.Version)) { // else it is a repeat
				versions[stream] = append(versions[stream], int(m.Version))
			}
		}
		return int64(len(ids)) == report.Events
	}, 30*time.Second, 500*time.Millisecond)
	for stream, seen := range versions {
		assert.IsIncreasing(t, seen, stream)
	}
}
