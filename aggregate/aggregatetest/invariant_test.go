package aggregatetest_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
)

type command = aggregatetest.Command[Door, Event]

var (
	opens  command = func(t *rapid.T) aggregate.Decision[Door, Event] { return open(rapid.StringN(1, 3, -1).Draw(t, "by")) }
	closes command = func(*rapid.T) aggregate.Decision[Door, Event] { return record(Closed{"ada"}) }
)

func atMost(times int) func(Door) error {
	return func(d Door) error {
		if d.Count > times {
			return fmt.Errorf("%w: %d times", errMany, d.Count)
		}
		return nil
	}
}

func TestAnInvariantThatHolds(t *testing.T) {
	aggregatetest.Holds(t, Doors, atMost(1), map[string]command{"open": opens})
	aggregatetest.Holds(t, Doors, atMost(30), map[string]command{"open": opens, "close": closes})
}

// An invariant that does not hold fails with the shortest way to break it.
func TestAnInvariantThatIsBroken(t *testing.T) {
	require.NoError(t, flag.Set("rapid.nofailfile", "true")) // these failures are wanted
	t.Cleanup(func() { require.NoError(t, flag.Set("rapid.nofailfile", "false")) })
	calls := 0
	impure := func(*rapid.T) aggregate.Decision[Door, Event] {
		return func(Door) ([]Event, error) { calls++; return []Event{Opened{fmt.Sprint(calls)}}, nil }
	}
	for says, holds := range map[string]func(t testing.TB){
		"the invariant is broken: opened too often: 2 times\nby  aggregatetest_test.Opened{By:": func(t testing.TB) {
			aggregatetest.Holds(t, Doors, atMost(1), map[string]command{"open": opens, "close": closes})
		},
		"the decision is not pure": func(t testing.TB) {
			aggregatetest.Holds(t, Doors, atMost(30), map[string]command{"open": impure})
		},
		"cannot be stored": func(t testing.TB) {
			aggregatetest.Holds(t, Doors, atMost(30), map[string]command{"wax": func(*rapid.T) aggregate.Decision[Door, Event] { return record(Waxed{}) }})
		},
	} {
		t.Run(says, func(t *testing.T) {
			r := &drawn{}
			holds(r)
			require.NotEmpty(t, r.failures)
			assert.Contains(t, strings.Join(r.failures, "\n"), says)
			if strings.Contains(says, "2 times") {
				_, by, _ := strings.Cut(r.failures[0], "\nby ")
				assert.Equal(t, 3, strings.Count(by, "aggregatetest_test."), "open, close, open: %s", r.failures[0])
			}
		})
	}
}

// drawn is a test that rapid may fail.
type drawn struct {
	recorder
}

func (*drawn) Name() string                { return "drawn" }
func (*drawn) Logf(string, ...any)         {}
func (*drawn) Log(...any)                  {}
func (*drawn) FailNow()                    {}
func (*drawn) Fail()                       {}
func (*drawn) Failed() bool                { return false }
func (d *drawn) Fatalf(f string, a ...any) { d.Errorf(f, a...) }
func (d *drawn) Error(a ...any)            { d.Errorf("%s", fmt.Sprint(a...)) }
