package aggregatetest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

type Door struct {
	Open  bool
	Count int
}

type Event interface{ apply(d *Door) }

type (
	Opened struct{ By string }
	Closed struct{ By string }
	Bolted struct{ at time.Time } // loses at
	Waxed  struct{}               // is not registered
	Tagged struct{}               // has a bad tag
)

func (Opened) apply(d *Door) { d.Open = true; d.Count++ }
func (Closed) apply(d *Door) { d.Open = false }
func (Bolted) apply(*Door)   {}
func (Waxed) apply(*Door)    {}
func (Tagged) apply(*Door)   {}

var Doors = aggregate.Define("door", Event.apply,
	codec.Event[Opened]("door.opened"),
	codec.Event[Closed]("door.closed"),
	codec.Event[Bolted]("door.bolted"),
	codec.Event[Tagged]("door.tagged", codec.Tags(func(Tagged) []eventstore.Tag { return []eventstore.Tag{"nokey"} })))

var ErrOpen = errors.New("the door is open")

func open(by string) aggregate.Decision[Door, Event] {
	return func(d Door) ([]Event, error) {
		if d.Open {
			return nil, ErrOpen
		}
		return []Event{Opened{by}}, nil
	}
}

func record(events ...Event) aggregate.Decision[Door, Event] {
	return func(Door) ([]Event, error) { return events, nil }
}

func TestScenariosThatHold(t *testing.T) {
	aggregatetest.For(t, Doors).
		Given(Opened{"ada"}, Closed{"ada"}).
		When(open("bob")).
		Then(Opened{"bob"}).
		ThenState(Door{Open: true, Count: 2})

	aggregatetest.For(t, Doors).Given(Opened{"ada"}).When(open("bob")).ThenRefused(ErrOpen)
	aggregatetest.For(t, Doors).Given(Opened{"ada"}).When(record()).Then().ThenState(Door{Open: true, Count: 1})
}

// recorder is a test that writes down how it failed.
type recorder struct {
	testing.TB
	failures []string
}

func (*recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestAScenarioThatFailsSaysGotAndWant(t *testing.T) {
	impure := func() aggregate.Decision[Door, Event] {
		calls := 0
		return func(Door) ([]Event, error) { calls++; return []Event{Opened{fmt.Sprint(calls)}}, nil }
	}
	for name, c := range map[string]struct {
		scenario func(testing.TB)
		says     []string
	}{
		"other event": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(open("ada")).Then(Opened{"bob"}) },
			[]string{"got  events aggregatetest_test.Opened{By:ada}\nwant events aggregatetest_test.Opened{By:bob}"},
		},
		"too many events": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(open("ada")).Then() },
			[]string{"got  events aggregatetest_test.Opened{By:ada}\nwant no events"},
		},
		"no event": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(record()).Then(Closed{"ada"}) },
			[]string{"got  no events\nwant events aggregatetest_test.Closed{By:ada}"},
		},
		"refused": {
			func(t testing.TB) {
				aggregatetest.For(t, Doors).Given(Opened{"ada"}).When(open("bob")).Then(Opened{"bob"}).ThenState(Door{})
			},
			[]string{
				"got  a refusal: the door is open\nwant events aggregatetest_test.Opened{By:bob}",
				"got  a refusal: the door is open\nwant state {Open:false Count:0}",
			},
		},
		"not refused": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(open("ada")).ThenRefused(ErrOpen) },
			[]string{"got  events aggregatetest_test.Opened{By:ada}\nwant a refusal: the door is open"},
		},
		"other state": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(open("ada")).ThenState(Door{}) },
			[]string{"got  state {Open:true Count:1}\nwant state {Open:false Count:0}"},
		},
		"impure decision": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(impure()) },
			[]string{"the decision is not pure: on the same state it came first to\n\tevents aggregatetest_test.Opened{By:1}\nand then to\n\tevents aggregatetest_test.Opened{By:2}"},
		},
		"unregistered event given": {
			func(t testing.TB) { aggregatetest.For(t, Doors).Given(Waxed{}) },
			[]string{"event aggregatetest_test.Waxed{} cannot be stored: encode event: type aggregatetest_test.Waxed is not registered"},
		},
		"event with a bad tag": {
			func(t testing.TB) { aggregatetest.For(t, Doors).Given(Tagged{}) },
			[]string{`event aggregatetest_test.Tagged{} cannot be stored: invalid tag "nokey"`},
		},
		"lossy event decided": {
			func(t testing.TB) { aggregatetest.For(t, Doors).When(record(Bolted{at: time.Unix(1, 0)})) },
			[]string{"comes back from the store as aggregatetest_test.Bolted{at:{"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			c.scenario(r)
			if assert.Len(t, r.failures, len(c.says)) {
				for n, text := range c.says {
					assert.Contains(t, r.failures[n], text)
				}
			}
		})
	}
}

func TestAConflictIsDecidedAgain(t *testing.T) {
	aggregatetest.For(t, Doors).
		Meanwhile(Opened{"eve"}).
		When(open("bob")).
		ThenRefused(ErrOpen)
	aggregatetest.For(t, Doors).
		Given(Opened{"ada"}).
		Meanwhile(Closed{"ada"}).
		When(open("bob")).
		Then(Opened{"bob"}).
		ThenState(Door{Open: true, Count: 2})

	r, kept := &recorder{}, []Event(nil)
	remembering := func(Door) ([]Event, error) { kept = append(kept, Opened{"bob"}); return kept, nil }
	aggregatetest.For(r, Doors).Meanwhile(Closed{"ada"}).When(remembering).Then(Opened{"bob"})
	assert.NotEmpty(t, r.failures)
}
