package redisstore_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestSink(t *testing.T) {
	projectiontest.RunSink(t, func(t testing.TB) projection.Sink { return open(t, connect(t)) })
}

func TestEffects(t *testing.T) {
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		return projectiontest.Parts{Store: memory.NewStore(), Sink: open(t, connect(t))}
	})
}
