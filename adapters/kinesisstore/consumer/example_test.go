package consumer_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// A worker that calls a function with the records of a stream. In a program, the client is kinesis.NewFromConfig's,
// and the store is that of OpenSQL, so that the next process goes on where this one has stopped.
func ExampleWorker() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client := orders(ctx, "placed", "paid", "shipped")
	store := consumer.NewMemory()
	worker := &consumer.Worker{
		API: client, Stream: "orders", Leases: store,
		Target: consumer.Func{Checkpoints: store, Handle: func(_ context.Context, _ string, records []types.Record) error {
			for _, record := range records {
				fmt.Println(*record.PartitionKey, string(record.Data))
			}
			return nil
		}},
		OnError: func(err error) { log.Print(err) },
		OnProgress: func(p consumer.Progress) {
			if p.Behind == 0 {
				stop() // it has all there is
			}
		},
	}
	if err := worker.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// order-42 placed
	// order-42 paid
	// order-42 shipped
}

// orders returns Kinesis with a stream that has events of one order.
func orders(ctx context.Context, events ...string) *kinesisfake.Fake {
	fake := kinesisfake.New(kinesisfake.Options{})
	if _, err := fake.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(1)}); err != nil {
		log.Fatal(err)
	}
	for _, event := range events {
		if _, err := fake.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String("order-42"), Data: []byte(event)}); err != nil {
			log.Fatal(err)
		}
	}
	return fake
}
