package kinesisstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
	"github.com/leftfold/leftfold/relay"
)

// must ends an example that cannot go on.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A stream, its index in a file, an indexer and the store. Of two writers that have seen the same version
// one wins; the other one reads, and decides again.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	folder := must(os.MkdirTemp("", "index"))
	defer os.RemoveAll(folder)
	client := kinesisfake.New(kinesisfake.Options{}) // yours is kinesis.NewFromConfig(…)
	name, shards := "orders", int32(1)
	must(client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}))

	path := filepath.Join(folder, "index.db")
	inner := must(sqlite.Open(ctx, path, sqlite.Options{}))
	db := must(sql.Open("sqlite", path))
	stream := must(kinesisstore.Describe(ctx, client, "orders"))
	index := must(kinesisstore.OpenIndex(ctx, kinesisstore.SQLite(inner, db), stream))
	indexed := make(chan error)
	go func() {
		indexed <- kinesisstore.Indexer{API: client, Index: index, Archive: kinesisstore.Directory(filepath.Join(folder, "archive"))}.Run(ctx)
	}()

	store := must(kinesisstore.Open(ctx, client, index, kinesisstore.Options{}))
	place := eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "order-1", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "order.placed"}},
	}}}
	receipt := must(store.Append(ctx, place))
	fmt.Println("version", receipt.Versions["order-1"])
	_, err := store.Append(ctx, place)
	fmt.Println(err)

	err = store.Close(ctx)
	stop()
	fmt.Println(errors.Join(err, <-indexed, db.Close(), inner.Close(context.Background())))
	// Output:
	// version 1
	// version conflict on order-1: expected no stream, it is at version 1
	// <nil>
}

// A feed puts what a relay reads of any store on a stream, under each event's key.
func ExampleFeed() {
	ctx := context.Background()
	client := kinesisfake.New(kinesisfake.Options{})
	name, shards := "feed", int32(1)
	must(client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}))

	feed := kinesisstore.Feed{API: client, Stream: "feed"} // relay.Relay{…} has it as its publisher
	results, err := feed.Publish(ctx, []relay.Message{
		{ID: "1", Key: "order-1", Stream: "order-1", Version: 1, Type: "order.placed", Data: []byte(`{"total": 17}`)},
	})
	fmt.Println(results, err)
	// Output: [<nil>] <nil>
}
