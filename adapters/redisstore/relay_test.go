package redisstore_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/relay/relaytest"
)

func TestTheSinkKeepsARelay(t *testing.T) {
	relaytest.RunSink(t, func(t testing.TB) relaytest.Parts {
		return relaytest.Parts{Store: memory.NewStore(), Sink: open(t, connect(t))}
	})
}
