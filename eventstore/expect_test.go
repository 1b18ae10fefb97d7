package eventstore_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/eventstore"
)

func TestAnExpectedVersionIsTakenOnce(t *testing.T) {
	_, ok := eventstore.TakeExpected(t.Context())
	assert.False(t, ok, "nothing is expected")

	for range 2 { // each scope has its own
		ctx := eventstore.WithExpected(t.Context(), 0)
		v, ok := eventstore.TakeExpected(ctx)
		assert.True(t, ok)
		assert.Zero(t, v, "version 0 is an expectation: there is nothing yet")
		_, ok = eventstore.TakeExpected(ctx)
		assert.False(t, ok)
	}
}
