package storecmd

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// TestMain gives AWS two keys of nobody, which an emulator takes.
func TestMain(m *testing.M) {
	awstest.Nobody()
	os.Exit(m.Run())
}

// indexed runs an indexer on a stream, and returns the index, which is in a file.
func indexed(t *testing.T, client kinesisstore.API, name string) (index *kinesisstore.Index, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "index.db")
	inner, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	stream, err := kinesisstore.Describe(t.Context(), client, name)
	require.NoError(t, err)
	index, err = kinesisstore.OpenIndex(t.Context(), kinesisstore.SQLite(inner, db), stream)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- kinesisstore.Indexer{API: client, Index: index}.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
		assert.NoError(t, db.Close())
		assert.NoError(t, inner.Close(context.Background()))
	})
	return index, file
}

// onEmulator is the URL of a store on the emulator.
func onEmulator(t *testing.T) string {
	t.Helper()
	client := awstest.Kinesis(t, nil)
	name := fmt.Sprintf("cli-%d", time.Now().UnixNano())
	awstest.CreateStream(t, client, name, 1)
	_, file := indexed(t, client, name)
	parameters := url.Values{"index": {"sqlite:" + file}, "region": {emulators.Region}, "endpoint": {*client.Options().BaseEndpoint}}
	return "kinesis://" + name + "?" + parameters.Encode()
}

// The emulator takes one put at a time, so this is on the fake.
func TestABenchmarkOfAStreamMeasuresWhatItHas(t *testing.T) {
	t.Parallel()
	fake, name, shards := kinesisfake.New(kinesisfake.Options{Unlimited: true}), "orders", int32(1)
	_, err := fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	require.NoError(t, err)
	index, _ := indexed(t, fake, name)
	store, err := kinesisstore.Open(t.Context(), fake, index, kinesisstore.Options{})
	require.NoError(t, err)
	defer store.Close(context.Background())
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetErr(io.Discard)
	b := bench{runs: 1, during: 1, events: 100, writers: []int{1, 8}, batches: []int{1, 2}}
	at := &place{store: store, about: about{Kind: "Kinesis"}}
	all, err := b.measure(cmd, at)
	require.NoError(t, err)
	require.Len(t, all, 6)
	assert.Equal(t, 8, all[1].Calls)
	assert.Equal(t, "read the log, 100 events", all[5].name())
	var out strings.Builder
	require.NoError(t, b.print(&out, at, all))
	assert.Contains(t, out.String(), "No projection was measured: a store of this kind keeps no read models.")
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 100+(1+8)*(1+2), head.Position, "it stays in the log")
}

func TestTortureTheVerbsWorkOnAStreamOfKinesis(t *testing.T) {
	t.Parallel()
	at := onEmulator(t)
	views := filepath.Join(t.TempDir(), "views.db")
	sink, err := sqlite.OpenSink(t.Context(), views)
	require.NoError(t, err)
	require.NoError(t, sink.Close())
	show := func(args ...string) string {
		t.Helper()
		r := leftfold(t.Context(), append(args, "--store", at)...)
		require.Equal(t, cli.ExitOK, r.code, "%v: %s", args, r.stderr)
		return r.stdout
	}
	line := []string{"append", "order-1", "--type", "order.placed", "--data", `{"total":17}`, "--tag", "customer:17", "--expect", "empty", "--id", "one"}
	assert.Contains(t, show(line...), "Appended 1 event to order-1, up to version 1, position 1")
	assert.Regexp(t, `(?s)\nstore\n  ok +stream: .*\n  ok +index: it follows all shards.*\nindex\n.*integrity: no page is damaged`, show("doctor"))
	assert.Contains(t, show(line...), "Nothing to do")
	assert.Contains(t, show("streams"), "order-1")
	assert.Contains(t, show("stream", "show", "order-1", "--payload"), `"total": 17`)
	assert.Contains(t, show("events", "--tag", "customer:17"), "order.placed")
	assert.Contains(t, show("trace", "one"), "order.placed")
	assert.Contains(t, show("schema", "census"), "order.placed")
	assert.Equal(t, "There are no read models yet.\n", show("projections", "list", "--read-models", "sqlite:"+views))
	show("lag", "--read-models", "sqlite:"+views)

	file := filepath.Join(t.TempDir(), "log.jsonl")
	show("export", file, "--without-commands")
	back := "sqlite:" + filepath.Join(t.TempDir(), "back.db")
	require.Equal(t, cli.ExitOK, leftfold(t.Context(), "import", file, "--store", back).code)
	assert.Len(t, streamOf(t, back, "order-1"), 1)

	ctx, stop := context.WithCancel(t.Context())
	out, ended := make(lines), make(chan int, 1)
	go func() { ended <- runTo(ctx, out, "tail", "-f", "-o", "jsonl", "--store", at) }()
	require.Contains(t, <-out, `"position":1`)
	show("append", "order-1", "--type", "order.noted")
	require.Contains(t, <-out, `"order.noted"`)
	stop()
	assert.Equal(t, cli.ExitOK, <-ended)

	for says, args := range map[string][]string{
		"say --expect exact:2":              {"append", "order-1", "--type", "x", "--expect", "exact:1"},
		"the store does not support":        {"commands", "prune", "--older-than", "9d", "--yes"},
		"export the command ids":            {"export", file + ".2"},
		"the store does not support import": {"import", file},
		"say which store in Postgres":       {"migrate"},
		"say where they are, by --read-mod": {"lag"},
	} {
		r := leftfold(t.Context(), append(args, "--store", at)...)
		assert.NotEqual(t, cli.ExitOK, r.code)
		assert.Contains(t, r.stderr, says)
	}
}
