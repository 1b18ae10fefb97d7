package memory_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestReadersSeeNoErrorAndNoOlderRowsWhileAGenerationIsReplaced(t *testing.T) {
	projectiontest.RunSwitch(t, projectiontest.Parts{Store: memory.NewStore(), Sink: memory.NewSink()}, nil)
}
