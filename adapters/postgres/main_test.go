package postgres_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/internal/testservers"
)

// No goroutine outlives the stores. Tests close their own pools. And an example cannot skip
// itself: where there is no Postgres, none of them runs, unless all tests were asked for.
func TestMain(m *testing.M) {
	if os.Getenv(childDoes) != "" {
		os.Exit(child())
	}
	flag.Parse()
	if os.Getenv("LEFTFOLD_TEST") != "all" && testservers.PostgresAvailable() != nil {
		skip := flag.Lookup("test.skip").Value
		_ = skip.Set(strings.TrimPrefix(skip.String()+"|^Example", "|")) // any text will do
	}
	goleak.VerifyTestMain(m)
}
