//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
	"github.com/leftfold/leftfold/relay"
)

// What the services decide goes on to a bus, and is there in the order of each stream.
func TestTortureEventsGoOnToEventBridge(t *testing.T) {
	t.Parallel()
	fake := ebfake.New(ebfake.Options{})
	t.Cleanup(fake.Close)
	goesOn(t, "eventbridge://default?region=eu-west-1&endpoint="+fake.URL(), func() (all [][]byte) {
		for _, detail := range fake.Taken() {
			all = append(all, detail)
		}
		return all
	})
}

func TestTortureEventsGoOnToKinesis(t *testing.T) {
	t.Parallel()
	client, name := awstest.Kinesis(t, nil), "shop"
	awstest.CreateStream(t, client, name, 2)
	goesOn(t, "kinesis://shop?region=eu-west-1&endpoint="+*client.Options().BaseEndpoint, func() (all [][]byte) {
		shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &name})
		require.NoError(t, err)
		for _, shard := range shards.Shards {
			at, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			require.NoError(t, err)
			got, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator})
			require.NoError(t, err)
			for _, record := range got.Records {
				all = append(all, record.Data)
			}
		}
		return all
	})
}

// goesOn runs the shop with a bus, places orders, and waits until each event that the services decided on
// has arrived.
func goesOn(t *testing.T, bus string, arrived func() [][]byte) {
	t.Helper()
	dir := t.TempDir()
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var said bytes.Buffer
	go func() {
		ended <- cli.Run(ctx, root(), []string{"all", "--choreographed", "--dir", dir, "--listen", "127.0.0.1:0", "--feed-to", bus}, in, &said)
		in.Close()
	}()
	defer func() {
		stop()
		assert.Equal(t, cli.ExitOK, <-ended, &said)
	}()
	gateway := ""
	for lines := bufio.NewScanner(out); gateway == "" && lines.Scan(); {
		_, gateway, _ = strings.Cut(lines.Text(), "gateway listens on ")
	}
	require.NotEmpty(t, gateway, &said)
	do := func(args ...string) []byte {
		var out, said bytes.Buffer
		require.Equal(t, cli.ExitOK, cli.Run(t.Context(), root(), args, &out, &said), &said)
		return out.Bytes()
	}
	assert.Equal(t, "5 orders were placed\n", string(do("feed", "--gateway", gateway, "--orders", "5", "--stock", "40")))
	var report told
	require.NoError(t, json.Unmarshal(do("books", "--dir", dir, "--choreographed", "-o", "json"), &report))
	require.EqualValues(t, 5, report.Placed)

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
	}, time.Minute, 100*time.Millisecond)
	for stream, seen := range versions {
		assert.IsIncreasing(t, seen, stream)
	}
}
