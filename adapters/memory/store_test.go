package memory_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

func open(testing.TB) eventstore.Store { return memory.NewStore() }

func TestConformance(t *testing.T) { eventstoretest.Run(t, open) }

func BenchmarkStore(b *testing.B) { eventstoretest.Benchmark(b, open) }
