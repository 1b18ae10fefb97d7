package aggregate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

type stranger struct{}

type byPointer struct{}

func (*byPointer) apply(*Account) {}

func TestATypeKnowsItsParts(t *testing.T) {
	assert.Equal(t, "account", Accounts.Category())
	assert.Equal(t, eventstore.StreamID("account-7"), Accounts.Stream("7"))
	assert.Len(t, Accounts.Events().Types(), 3)

	var account Account
	Accounts.Fold(&account, Opened{"Ada"}, Deposited{5}, Withdrawn{2})
	assert.Equal(t, Account{Owner: "Ada", Balance: 3}, account)
}

func TestDefineSaysWhatIsWrong(t *testing.T) {
	opened := codec.Event[Opened]("account.opened")
	for want, define := range map[string]func(){
		`aggregate.Define(""): bad category`:                                             func() { aggregate.Define("", Event.apply, opened) },
		`aggregate.Define("my-account"): the category has a dash`:                        func() { aggregate.Define("my-account", Event.apply, opened) },
		`aggregate.Define("account"): the fold is nil`:                                   func() { aggregate.Define[Account, Event]("account", nil, opened) },
		`aggregate.Define("account"): it has no events`:                                  func() { aggregate.Define("account", Event.apply) },
		`event "account.opened" of type aggregate_test.Opened is defined twice`:          func() { aggregate.Define("account", Event.apply, opened, opened) },
		`event "x": aggregate_test.stranger is not a aggregate_test.Event`:               func() { aggregate.Define("account", Event.apply, codec.Event[stranger]("x")) },
		`only *aggregate_test.byPointer is: give its methods value receivers`:            func() { aggregate.Define("account", Event.apply, codec.Event[byPointer]("x")) },
		`it has no method Error`:                                                         func() { aggregate.Define("account", func(error, *Account) {}, codec.Event[stranger]("x")) },
		`event "account.opened": aggregate_test.Opened is not a aggregate_test.stranger`: func() { aggregate.Define("account", func(stranger, *Account) {}, opened) },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() { assert.Contains(t, recover(), want) }()
			define()
		})
	}
}
