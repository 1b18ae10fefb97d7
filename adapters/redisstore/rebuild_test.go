package redisstore_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestReadersSeeNoErrorAndNoOlderRowsWhileAGenerationIsReplaced(t *testing.T) {
	projectiontest.RunSwitch(t, projectiontest.Parts{Store: memory.NewStore(), Sink: open(t, connect(t))}, nil)
}

func rebuild(path, addr, prefix string) error {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	sink, err := redisstore.Open(ctx, redis.NewClient(&redis.Options{Addr: addr}), redisstore.Options{Prefix: prefix, Logger: silent})
	if err != nil {
		return err
	}
	return projectiontest.RebuildUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: sink}, os.Stdout)
}
