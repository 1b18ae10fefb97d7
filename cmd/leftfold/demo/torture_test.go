package demo

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/testservers"
)

// feeding is how long a run places orders.
var feeding = map[bool]string{true: "5s", false: "2s"}[eventstoretest.Scale > 1]

// adds holds what a run has come to against what it promises.
func (r ran) adds(t *testing.T) result {
	t.Helper()
	require.Equal(t, cli.ExitOK, r.code, "%s\n%s", r.stdout, r.stderr)
	is := r.result(t)
	require.Empty(t, is.Broken)
	require.EqualValues(t, len(plan)-1, is.Kills)
	require.Len(t, is.Rebuilds, 1)
	assert.Positive(t, is.Rebuilds[0].Answered)
	assert.Positive(t, is.Fulfilled)
	assert.Equal(t, is.Books.Placed, is.Books.Fulfilled+is.Books.Cancelled)
	assert.Equal(t, is.Books.Events, is.Books.Applied)
	t.Logf("%s\n%+v", r.stderr, is)
	return is
}

func TestTortureDemoAddsUpThoughServicesAreKilled(t *testing.T) {
	t.Parallel()
	for range eventstoretest.Scale {
		run(t, "--headless", "--check", "--for", feeding, "-o", "json", "--dir", t.TempDir()).adds(t)
	}
}

func TestTortureDemoAddsUpOnPostgresRedisAndKinesis(t *testing.T) {
	redis, err := testservers.SharedRedis()
	if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
	client := awstest.Kinesis(t, nil)
	emulator, err := emulators.Kinesis()
	require.NoError(t, err)
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	base := filepath.Base(filepath.Dir(t.TempDir()))
	for n := range eventstoretest.Scale {
		stream := fmt.Sprintf("%s-%d", base, n+1)
		awstest.CreateStream(t, client, stream, 2)
		is := run(t, "--headless", "--check", "--for", feeding, "-o", "json", "--dir", t.TempDir(),
			"--postgres", postgrestest.Pool(t).Config().ConnString(), "--redis", redis.URL(),
			"--kinesis", "kinesis://"+stream+"?region=eu-west-1&endpoint="+url.QueryEscape(emulator.URL())).adds(t)
		require.NotNil(t, is.Stream)
		assert.Equal(t, is.Books.Events, is.Stream.Events)
	}
}

// The demo is killed in the middle of it, and none of its services goes on. The next run goes on where it was.
// Then somebody does what no service would have done: the books find it.
func TestTortureDemoGoesOnAfterKill9AndFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := spawned(t, "--headless", "--for", "1h", "--dir", dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	all := awaitOrders(t, dir, 100)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	again := run(t, "--headless", "--check", "--for", "1s", "-o", "json", "--dir", dir).adds(t)
	assert.Positive(t, again.OpenBefore)
	assert.Greater(t, again.Books.Placed, again.Placed)

	order := fulfilled(t, all["order"].Store)
	data, err := api.Events.Encode(api.Refunded{Pence: 1})
	require.NoError(t, err)
	_, err = all["payment"].Store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: eventstore.StreamID("payment-" + order), Events: []eventstore.EventData{data}}}})
	require.NoError(t, err)
	wrong := run(t, "--headless", "--check", "--for", "100ms", "-o", "json", "--dir", dir)
	require.Equal(t, cli.ExitFailed, wrong.code, "%s", wrong.stderr)
	require.Contains(t, wrong.stderr, "leftfold: the books do not add up: ")
	broken := strings.Join(wrong.result(t).Broken, "\n")
	assert.Contains(t, broken, "order "+order+" is fulfilled, and not as a whole")
	assert.Regexp(t, `taken \d+ - refunded 1 is not what fulfilled orders cost`, broken)
}

// awaitOrders waits until the order service has so many events, and returns all stores.
func awaitOrders(t *testing.T, dir string, events eventstore.Position) books.Services {
	t.Helper()
	all, closing, err := shop.Config{Where: host.Where{Dir: dir}}.Books(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closing()) })
	for at := range events {
		require.NoError(t, eventstore.WaitAppended(t.Context(), all["order"].Store, at))
	}
	return all
}

func fulfilled(t *testing.T, store eventstore.LogReader) (order string) {
	t.Helper()
	log, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types(isFulfilled), Limit: 1})
	require.NoError(t, err)
	for m, err := range log.Events() {
		require.NoError(t, err)
		order = m.Stream.ID()
	}
	require.NotEmpty(t, order)
	return order
}

// An address that is taken ends the demo before it has begun, with all of its services.
func TestTortureDemoEndsWhereItsAddressIsTaken(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	r := run(t, "--headless", "--dir", t.TempDir(), "--listen", listener.Addr().String())
	require.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "leftfold: gateway does not start: listen tcp "+listener.Addr().String()+": bind: address already in use")
	assert.Empty(t, r.stdout)
}
