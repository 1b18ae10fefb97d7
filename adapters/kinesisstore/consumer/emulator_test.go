package consumer_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest"
)

// The same as on the fake, in real time: a worker that dies, one that comes late, four shards that become
// two and then four.
func TestOnTheEmulatorEverythingIsTakenInOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const name, keys, each = "consumer-reshard", 16, 20
	over := &http.Transport{}
	t.Cleanup(over.CloseIdleConnections)
	client := awstest.Kinesis(t, over)
	_, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(name), ShardCount: aws.Int32(4)})
	require.NoError(t, err)
	require.NoError(t, kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }).
		Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String(name)}, time.Minute))

	book := newLedger()
	all := newCrowd(client, book)
	defer all.stop()
	all.name, all.ttl = name, 3*time.Second
	a, b := all.join(t, "a"), all.join(t, "b")
	load := produce(t.Context(), t, client, name, keys, each, 200*time.Millisecond)
	eventually(t, "both have taken records in", func() bool { return a.taken.Load() > 0 && b.taken.Load() > 0 })
	resize(t, client, name, 2)
	b.dead.Store(true)
	killed := b.taken.Load()
	late := all.join(t, "late")
	eventually(t, "the late one has taken records in", func() bool { return late.taken.Load() > 0 })
	resize(t, client, name, 4)
	load.Wait()
	eventually(t, "all is taken in", func() bool { return book.total() >= keys*each })
	assert.Equal(t, keys*each, book.total())
	require.NoError(t, book.disorder())
	assert.LessOrEqual(t, b.taken.Load()-killed, int64(keys), "what it was in the middle of")
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, time.Minute, 20*time.Millisecond, what)
}
