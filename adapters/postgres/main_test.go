package postgres_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// No goroutine outlives the stores. Tests close their own pools.
func TestMain(m *testing.M) {
	if os.Getenv(childDoes) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}
