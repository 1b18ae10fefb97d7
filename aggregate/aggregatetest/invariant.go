package aggregatetest

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/aggregate"
)

// Command draws what a decision needs, and returns the decision:
//
//	func(t *rapid.T) aggregate.Decision[Account, Event] {
//		return Withdraw(rapid.Int64Range(0, 1000).Draw(t, "cents"))
//	}
type Command[S, E any] func(t *rapid.T) aggregate.Decision[S, E]

// Holds requires that no sequence of commands breaks the invariant: it returns nil for every state
// that they lead to, or says what is wrong with it. A command may be refused; that changes nothing.
//
// It tries many random sequences of the commands, by name; see package rapid for how many, and how
// to run one again. One that breaks the invariant is made as short and as small as possible before
// it is shown. As in a [Scenario], every event is stored and comes back, and every decision is made
// twice.
func Holds[S, E any](t testing.TB, typ *aggregate.Type[S, E], invariant func(state S) error, commands map[string]Command[S, E]) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		names := make([]string, 0, len(commands))
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		s := For(failingWith{t, rt}, typ)
		for range rapid.IntRange(1, 30).Draw(rt, "number of commands") {
			name := rapid.SampledFrom(names).Draw(rt, "command")
			s.history = append(s.history, s.When(commands[name](rt)).events...)
			if err := invariant(s.state()); err != nil {
				rt.Fatalf("the invariant is broken: %v\nby  %s", err, renderAll(s.history))
			}
		}
		s.foldsAlike()
	})
}

// foldsAlike makes sure that the fold depends on nothing but the events.
func (s *Scenario[S, E]) foldsAlike() {
	s.t.Helper()
	if one, two := s.state(), s.state(); !reflect.DeepEqual(one, two) {
		s.t.Errorf("the fold is not pure: of the same events it came first to\n\t%+v\nand then to\n\t%+v", one, two)
	}
}

// failingWith fails a draw of rapid, which is no testing.TB, as it would fail a test.
type failingWith struct {
	testing.TB
	rt *rapid.T
}

func (failingWith) Helper()                             {}
func (f failingWith) Errorf(format string, args ...any) { f.rt.Fatalf(format, args...) }
