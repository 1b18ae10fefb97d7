package stores

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/cli"
)

// Examine looks at a stream and at how its index follows it. What the index is in is for its own adapter to examine. A
// URL that is wrong is a [cli.UsageError].
func (k Kinesis) Examine(ctx context.Context) ([]checkup.Finding, error) {
	client, err := k.Client(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := kinesisstore.Describe(ctx, client, k.Stream)
	switch {
	case errors.Is(err, kinesisstore.ErrPartitionKeys):
		return []checkup.Finding{checkup.Fail("stream", "see what was found", "%v", err)}, nil
	case err != nil:
		return []checkup.Finding{checkup.Unsure("stream", "see whether the stream is there, and whether credentials, region and rights are right", "%v", err)}, nil
	}
	if k.Index == "" {
		return nil, cli.Usagef("say where the index of stream %s is: kinesis://%s?index=sqlite:FILE, or index=postgres%%3A%%2F%%2F… (percent-encoded)", k.Stream, k.Stream)
	}
	in, err := openDatabase(ctx, k.Index)
	if err != nil {
		return []checkup.Finding{checkup.Fail("index", "see what was found", "%v", err)}, nil
	}
	defer func() { _ = in.close(context.WithoutCancel(ctx)) }() // it was only read
	index, err := kinesisstore.FindIndex(ctx, in.Database, stream)
	if err != nil {
		return []checkup.Finding{checkup.Fail("index", "see what was found; an Indexer makes an index that is not there", "%v", err)}, nil
	}
	return kinesisstore.Examine(ctx, client, index), nil
}
