package consumer_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest"
)

// The same as on the fake, in real time: a worker that dies, one that comes late, four shards that become
// two and then four. Values are made for as long as it takes, on a slow machine too.
func TestTortureOnTheEmulatorEverythingIsTakenInOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const keys = 16
	name := "consumer-reshard-" + rand.Text()
	over := &http.Transport{}
	t.Cleanup(over.CloseIdleConnections)
	client := awstest.Kinesis(t, over)
	awstest.CreateStream(t, client, name, 4)

	book := newLedger()
	all := newCrowd(client, book)
	defer all.stop()
	all.name, all.ttl = name, 3*time.Second
	a, b := all.join(t, "a"), all.join(t, "b")
	enough := make(chan struct{})
	load := produceUntil(t.Context(), client, name, keys, enough)
	eventually(t, "both have taken records in", func() bool { return a.taken.Load() > 0 && b.taken.Load() > 0 })
	resize(t, client, name, 2)
	b.dead.Store(true)
	late := all.join(t, "late")
	eventually(t, "the late one has taken records in", func() bool { return late.taken.Load() > 0 })
	awstest.WaitForStream(t, client, name)
	resize(t, client, name, 4)
	eventually(t, "records of the last shards are taken in", func() bool { return book.from() > 4+2 })
	close(enough)
	made := load()
	eventually(t, "all is taken in", func() bool { return book.total() >= made })
	assert.Equal(t, made, book.total())
	require.NoError(t, book.disorder())
}

// produceUntil puts values of each key until it is enough; then the function returns how many.
func produceUntil(ctx context.Context, k service, name string, keys int, enough <-chan struct{}) (made func() int) {
	const every = 100 * time.Millisecond
	var count atomic.Int64
	var all sync.WaitGroup
	for n := range keys {
		all.Go(func() {
			for value := 1; ctx.Err() == nil; {
				if tryPut(ctx, k, name, fmt.Sprintf("key-%d", n), value) == nil {
					value++
					count.Add(1)
				}
				select {
				case <-enough:
					return
				case <-time.After(every):
				}
			}
		})
	}
	return func() int {
		all.Wait()
		return int(count.Load())
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, time.Minute, 20*time.Millisecond, what)
}
