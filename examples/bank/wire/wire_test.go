package wire_test

import (
	"testing"
	"time"

	"github.com/leftfold/leftfold/examples/bank/account"
	"github.com/leftfold/leftfold/examples/bank/wire"
	"github.com/leftfold/leftfold/saga"
	"github.com/leftfold/leftfold/saga/sagatest"
)

// What the saga says, and to whom.
var (
	order = wire.Order{
		From: wire.Party{Branch: "london", Account: "fay"}, To: wire.Party{Branch: "leeds", Account: "gus"},
		Cents: 30_00, Currency: "EUR",
	}
	moneyLeaves   = wire.Send{Branch: "london", Account: "fay", Other: "leeds/gus", Cents: 30_00, Currency: "EUR"}
	leedsIsAsked  = wire.Ask{Branch: "leeds", Wire: "rent", Order: order}
	moneyArrives  = wire.Receive{Branch: "leeds", Account: "gus", Other: "london/fay", Cents: 30_00, Currency: "EUR"}
	moneyGoesBack = wire.Receive{Branch: "london", Account: "fay", Other: "leeds/gus", Cents: 30_00, Currency: "EUR"}
)

func ordered(t *testing.T) *sagatest.Scenario[wire.Wire] {
	t.Helper()
	return sagatest.For(t, wire.Wires, "rent").
		In("order-rent").When(wire.Ordered{Order: order}).ThenSends(moneyLeaves).
		In("approval-rent")
}

func asked(t *testing.T) *sagatest.Scenario[wire.Wire] {
	t.Helper()
	return ordered(t).Handled().ThenSends(leedsIsAsked).Handled().ThenSends().ThenTimers("approve")
}

func TestTheMoneyLeavesLeedsAgreesAndItArrives(t *testing.T) {
	asked(t).When(wire.Approved{}).ThenSends(moneyArrives).ThenTimers().Handled().ThenIs(saga.Completed)
}

func TestWithoutEnoughMoneyLeedsIsNotEvenAsked(t *testing.T) {
	ordered(t).Refused(account.ErrInsufficient).ThenSends().ThenIs(saga.Compensated)
}

func TestLeedsDeclinesAndTheMoneyGoesBack(t *testing.T) {
	asked(t).When(wire.Declined{}).ThenSends(moneyGoesBack).Handled().ThenIs(saga.Compensated)
}

func TestLeedsCannotBookItAndTheMoneyGoesBack(t *testing.T) {
	asked(t).When(wire.Approved{}).Refused(account.ErrCurrency).ThenSends(moneyGoesBack).Handled().ThenIs(saga.Compensated)
}

func TestAfterTwoDaysOfSilenceTheMoneyGoesBackAndAnAnswerComesTooLate(t *testing.T) {
	asked(t).
		After(48*time.Hour - time.Second).ThenSends().ThenIs(saga.Running).
		After(time.Second).ThenSends(moneyGoesBack).
		When(wire.Approved{}).ThenSends().
		Handled().ThenIs(saga.Compensated)
}

func TestABranchThatIsClosedIsTriedAgainUntilPeopleMustLook(t *testing.T) {
	s := ordered(t).Unanswered().After(time.Second).ThenSends(moneyLeaves)
	for range 13 {
		s = s.Unanswered().After(5 * time.Minute)
	}
	s.ThenSends(moneyLeaves).Unanswered().ThenIs(saga.Stuck).
		Resumed().ThenSends(moneyLeaves).Handled().ThenSends(leedsIsAsked)
}
