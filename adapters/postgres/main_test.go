package postgres_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine outlives the stores. Tests close their own pools.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
