package redisstore_test

import (
	"testing"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
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

func TestTortureChurn(t *testing.T) {
	churn := projectiontest.Churn{Rounds: 6 + 2*eventstoretest.Scale, Every: time.Duration(eventstoretest.Scale) * time.Second / 2}
	projectiontest.RunChurn(t, projectiontest.Parts{Store: memory.NewStore(), Sink: open(t, connect(t))}, churn)
}
