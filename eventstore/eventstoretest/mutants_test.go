package eventstoretest

import (
	"strings"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// hanging are the bugs that are found by the clock: their clause never ends.
var hanging = map[bug]bool{
	readersHoldLock: true, earlyEndKeepsLock: true, waitsForTheNext: true, deafToContext: true, wakesOne: true,
	headStuck: true,
}

// TestEveryMutantIsCaught plants each bug and demands that its clause finds it. A bug
// that needs a race gets a few tries, each larger than the last; a mutant that lives
// through them all has survived.
func TestEveryMutantIsCaught(t *testing.T) {
	for _, m := range mutants {
		t.Run(string(m.bug)+" - "+m.clause, func(t *testing.T) {
			for _, divisor := range []int{smallest, 5, 1, 1, 1} {
				if v := examineFlawed(t, find(t, m.clause), m.bug, divisor); v.failure != "" {
					t.Logf("caught: %.300s", v.failure)
					return
				}
			}
			t.Fatal("the mutant survived")
		})
	}
}

// TestFlawedIsRightWithoutABug keeps the mutants honest: what they fail by is the bug.
func TestFlawedIsRightWithoutABug(t *testing.T) {
	for _, f := range families {
		for _, cl := range f.clauses {
			t.Run(cl.rule, func(t *testing.T) {
				if v := examineFlawed(t, cl, none, smallest); v != (verdict{}) {
					t.Fatalf("%+v", v)
				}
			})
		}
	}
}

// TestEveryClauseHasAMutant: a clause that has never failed proves nothing.
func TestEveryClauseHasAMutant(t *testing.T) {
	proven := map[string]bool{}
	for _, m := range mutants {
		proven[find(t, m.clause).rule] = true
	}
	for _, f := range families {
		for _, cl := range f.clauses {
			if !proven[cl.rule] {
				t.Errorf("no mutant for: %s", cl.rule)
			}
		}
	}
}

// smallest divides the tortures for the naive store, which is quadratic.
const smallest = 20

func examineFlawed(t *testing.T, cl clause, b bug, divisor int) verdict {
	timeout := time.Minute
	if hanging[b] {
		timeout = time.Second
	}
	return examine(t, cl, func(testing.TB) eventstore.Store { return newFlawed(b) }, Options{
		Timeout: timeout,
		Divisor: divisor,
		Reopen:  func(_ testing.TB, s eventstore.Store) eventstore.Store { return s.(*flawed).reopened() },
	})
}

// find returns the one clause whose rule contains the part.
func find(t *testing.T, part string) clause {
	var found []clause
	for _, f := range families {
		for _, cl := range f.clauses {
			if strings.Contains(cl.rule, part) {
				found = append(found, cl)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d clauses contain %q", len(found), part)
	}
	return found[0]
}
