package sagatest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/saga"
	"github.com/leftfold/leftfold/saga/sagatest"
)

var placed = Placed{"7", 500}

func TestStepsFollowOneAnother(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).ThenSends(Reserve{"7"}, Charge{"7", 500}).ThenTimers("payment", "stock").
		Handled().ThenSends().
		When(Paid{"7", true}).ThenSends().ThenTimers("stock").ThenState(Order{"7", 500, true}).
		When(Reserved{"7"}).ThenSends(Ship{"7"}).ThenTimers("parcel").ThenIs(saga.Running).
		When(Shipped{"7"}).ThenTimers().ThenIs(saga.Completed)
}

func TestASecondTriggerMeansNothing(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).
		When(Placed{"7", 900}).ThenSends().ThenState(Order{ID: "7", Cents: 500}).
		When(Reserved{"7"}, Reserved{"7"}, Paid{"7", true}).ThenSends(Ship{"7"}).
		When(Shipped{"7"}).ThenIs(saga.Completed).
		When(placed).ThenSends().ThenIs(saga.Completed)
}

func TestAnEventBeforeTheBeginningMeansNothing(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(Reserved{"7"}).ThenIs("").
		When(placed).ThenSends(Reserve{"7"}, Charge{"7", 500})
}

func TestWhatIsDoneIsUndoneTheLastFirst(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).Handled().
		When(Reserved{"7"}, Paid{"7", true}).ThenSends(Ship{"7"}).
		Refused(errDeclined).ThenSends(Refund{"7", 500}).ThenIs(saga.Compensating).
		Handled().ThenSends(Release{"7"}).ThenIs(saga.Compensating).
		Handled().ThenSends().ThenTimers().ThenIs(saga.Compensated)
	sagatest.For(t, Fulfilment, "7").
		When(placed).Handled().
		When(Paid{"7", true}, Reserved{"7"}).ThenSends(Ship{"7"}).
		Refused(errDeclined).ThenSends(Release{"7"}).
		Handled().ThenSends(Refund{"7", 500}).
		Handled().ThenIs(saga.Compensated)
}

func TestAStepThatFailedIsNotUndone(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).Handled().
		When(Reserved{"7"}).
		When(Paid{"7", false}).ThenSends(Release{"7"}).
		Handled().ThenSends().ThenIs(saga.Compensated)
}

// The other step is under way when one fails: it is not waited for, and may have happened.
func TestAStepUnderWayIsUndoneOnceItsCommandIsSettled(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).
		When(SoldOut{"7"}).ThenSends().ThenTimers().ThenIs(saga.Compensating).
		HandledOnly("payment.charge").ThenSends(Refund{"7", 500}).
		HandledOnly("payment.refund").ThenIs(saga.Compensated)
	sagatest.For(t, Fulfilment, "7").
		When(placed).
		When(SoldOut{"7"}).
		RefusedOnly("payment.charge", errDeclined).ThenSends().ThenIs(saga.Compensated)
}

func TestAStepThatIsLateIsUndoneToo(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).Handled().
		When(Reserved{"7"}).
		After(15 * time.Minute).ThenSends(Refund{"7", 500}).
		When(Paid{"7", true}).ThenSends().
		Handled().ThenSends(Release{"7"}).
		Handled().ThenIs(saga.Compensated)
}

func TestATimerDoesNotFireBeforeItIsDueNorAfterItsStep(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).Handled().
		After(15*time.Minute-time.Nanosecond).ThenIs(saga.Running).
		When(Reserved{"7"}, Paid{"7", true}).ThenTimers("parcel").
		After(time.Hour).ThenSends().ThenIs(saga.Running)
}

// While the command of a late step is being tried, it may yet overtake what would undo it.
func TestALateStepWhoseCommandIsNotSettledIsTriedUntilItIs(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).HandledOnly("stock.reserve").
		When(Reserved{"7"}).
		After(14*time.Minute+59*time.Second).
		Unanswered().ThenTimers("payment.charge, attempt 2", "payment").
		After(time.Second).ThenSends(Charge{"7", 500}).ThenIs(saga.Compensating).
		Handled().ThenSends(Refund{"7", 500}).
		Handled().ThenSends(Release{"7"})
}

func TestACommandIsTriedAgainUntilTheInstanceIsStuckAndResumedByHand(t *testing.T) {
	t.Parallel()
	s := sagatest.For(t, Fulfilment, "7").
		When(placed).Handled().
		When(Paid{"7", true}).
		When(SoldOut{"7"}).ThenSends(Refund{"7", 500}).
		Unanswered().ThenTimers("payment.refund, attempt 2").ThenSends().
		After(time.Second).ThenSends(Refund{"7", 500}).
		Refused(errDeclined).ThenTimers("payment.refund, attempt 3"). // a compensation must not be refused
		After(2 * time.Second).ThenSends(Refund{"7", 500}).
		Unanswered().ThenTimers().ThenIs(saga.Stuck).
		After(1000 * time.Hour).ThenSends().ThenIs(saga.Stuck).
		Resumed().ThenSends(Refund{"7", 500}).ThenIs(saga.Compensating).
		Unanswered().ThenTimers("payment.refund, attempt 5").
		After(2 * time.Second).ThenSends(Refund{"7", 500}).
		Handled().ThenIs(saga.Compensated)

	ids := map[string]bool{}
	for _, e := range s.Timeline() {
		if e.Name == "payment.refund" {
			ids[e.Command] = true
		}
	}
	assert.Len(t, ids, 1, "each attempt is of one command")
}

func TestAnInstanceThatIsStuckGoesOnWhenTheEventComesAllTheSame(t *testing.T) {
	t.Parallel()
	sagatest.For(t, Fulfilment, "7").
		When(placed).HandledOnly("stock.reserve").
		Unanswered().After(2 * time.Second).Unanswered().After(4 * time.Second).Unanswered().ThenIs(saga.Stuck).
		When(Paid{"7", true}).ThenIs(saga.Running).
		When(Reserved{"7"}).ThenSends(Ship{"7"})
}

// printing stands in for the *testing.T that a test has.
type printing struct {
	testing.TB

	said *strings.Builder
}

func (printing) Helper()                  {}
func (printing) Context() context.Context { return context.Background() }
func (p printing) Error(all ...any)       { fmt.Fprintln(p.said, all...) }
func (p printing) Errorf(format string, args ...any) {
	fmt.Fprintf(p.said, format+"\n", args...)
}

func TestWhatIsNotSoFails(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(s *sagatest.Scenario[Order]){
		"a command that was not sent":    func(s *sagatest.Scenario[Order]) { s.ThenSends(Ship{"7"}) },
		"a command that was not wanted":  func(s *sagatest.Scenario[Order]) { s.ThenSends(Reserve{"7"}) },
		"the other order":                func(s *sagatest.Scenario[Order]) { s.ThenSends(Charge{"7", 500}, Reserve{"7"}) },
		"another payload":                func(s *sagatest.Scenario[Order]) { s.ThenSends(Reserve{"7"}, Charge{"7", 501}) },
		"another phase":                  func(s *sagatest.Scenario[Order]) { s.ThenIs(saga.Completed) },
		"another state":                  func(s *sagatest.Scenario[Order]) { s.ThenState(Order{}) },
		"other timers":                   func(s *sagatest.Scenario[Order]) { s.ThenTimers("stock") },
		"an event of another instance":   func(s *sagatest.Scenario[Order]) { s.When(Reserved{"8"}) },
		"an event of an unknown type":    func(s *sagatest.Scenario[Order]) { s.When(Ship{"7"}) },
		"an answer to no command":        func(s *sagatest.Scenario[Order]) { s.Handled().Handled() },
		"a resumption without a reason":  func(s *sagatest.Scenario[Order]) { s.Resumed() },
		"a handled command of that name": func(s *sagatest.Scenario[Order]) { s.HandledOnly("parcel.ship") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := &strings.Builder{}
			wrong(sagatest.For(printing{t, said}, Fulfilment, "7").When(placed))
			assert.NotEmpty(t, said.String())
		})
	}
}

// A test of a saga is a story: this happens, then these commands are sent.
func ExampleFor() {
	said := &strings.Builder{}
	t := printing{said: said}
	s := sagatest.For(t, Fulfilment, "7").
		When(Placed{"7", 500}).ThenSends(Reserve{"7"}, Charge{"7", 500}).
		Handled().
		When(Reserved{"7"}).
		After(15 * time.Minute).ThenSends(Refund{"7", 500}). // it may have been paid
		Handled().ThenSends(Release{"7"}).
		Handled().ThenIs(saga.Compensated)
	fmt.Print(said)
	for _, entry := range s.Timeline()[9:] {
		fmt.Println(entry)
	}
	// Output:
	// observed stock.reserved of given-1
	// step completed: step stock
	// timer cancelled, stock
	// timer fired, payment
	// step abandoned: step payment: timed out
	// compensating: step payment
	// command requested: to undo step payment, payment.refund {"Order":"7","Cents":500}
	// command done: to undo step payment, payment.refund
	// step undone: step payment
	// command requested: to undo step stock, stock.release {"Order":"7"}
	// command done: to undo step stock, stock.release
	// step undone: step stock
	// ended: compensated
}
