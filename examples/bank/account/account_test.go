package account_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/bank/account"
)

func TestAnAccountGivesOutWhatItHolds(t *testing.T) {
	given := func(events ...account.Event) *aggregatetest.Scenario[account.Account, account.Event] {
		return aggregatetest.For(t, account.Accounts).Given(events...)
	}
	opened := account.Opened{Owner: "Ada", Currency: "EUR"}
	given(opened, account.Deposited{Cents: 500}).When(account.Withdraw(500, "rent")).Then(account.Withdrawn{Cents: 500, Note: "rent"})
	given(opened, account.Deposited{Cents: 500}).When(account.Withdraw(501, "rent")).ThenRefused(account.ErrInsufficient)
	given().When(account.Deposit(5, "")).ThenRefused(account.ErrUnknown)
	given(opened).When(account.Deposit(-5, "")).ThenRefused(account.ErrAmount)
	given(opened).When(account.Open("Ada", "EUR")).Then()
}

// bank returns a store and a repository in which some accounts hold 10.00 each.
func bank(t *testing.T, ids ...string) (*memory.Store, *account.Repository) {
	t.Helper()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, account.Accounts)
	for _, id := range ids {
		_, err := accounts.Execute(t.Context(), id, account.Open(id, "EUR"))
		require.NoError(t, err)
		_, err = accounts.Execute(t.Context(), id, account.Deposit(1000, ""))
		require.NoError(t, err)
	}
	return store, accounts
}

func holds(t *testing.T, accounts *account.Repository, id string) int64 {
	t.Helper()
	a, _, err := accounts.Load(t.Context(), id)
	require.NoError(t, err)
	return a.Cents
}

func TestATransferThatIsRefusedMovesNothing(t *testing.T) {
	store, accounts := bank(t, "ada", "bob")
	_, err := accounts.Execute(t.Context(), "cleo", account.Open("Cleo", "GBP"))
	require.NoError(t, err)
	for to, want := range map[string]error{"bob": account.ErrInsufficient, "cleo": account.ErrCurrency, "nobody": account.ErrUnknown} {
		cents := int64(1)
		if to == "bob" {
			cents = 1001
		}
		_, err := account.Transfer(t.Context(), store, accounts, "ada", to, cents, "EUR")
		require.ErrorIs(t, err, want)
	}
	_, err = account.Transfer(t.Context(), store, accounts, "ada", "ada", 1, "EUR")
	require.Error(t, err, "an account cannot be both sides")
	assert.Equal(t, int64(1000), holds(t, accounts, "ada"))
}

// Sixteen transfers in all directions at once, each repeated: no cent is made, lost or spent twice.
func TestTransfersThatRaceKeepTheSum(t *testing.T) {
	ids := []string{"ada", "bob", "cleo", "dan"}
	store, accounts := bank(t, ids...)
	var all sync.WaitGroup
	for n := range 16 {
		from, to := ids[n%4], ids[(n+1+n/4%3)%4]
		for range 2 {
			all.Go(func() {
				for {
					_, err := account.Transfer(t.Context(), store, accounts, from, to, 300, "EUR", aggregate.CommandID(fmt.Sprint("transfer ", n)))
					if !errors.Is(err, eventstore.ErrVersionConflict) { // it kept meeting others
						assert.True(t, err == nil || errors.Is(err, account.ErrInsufficient), "%v", err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	sum := int64(0)
	for _, id := range ids {
		assert.GreaterOrEqual(t, holds(t, accounts, id), int64(0))
		sum += holds(t, accounts, id)
	}
	assert.Equal(t, int64(4000), sum)
}

func TestAnAccountIsWhatItWasAtEachVersion(t *testing.T) {
	store, accounts := bank(t, "ada", "bob")
	_, err := account.Transfer(t.Context(), store, accounts, "ada", "bob", 250, "EUR")
	require.NoError(t, err)
	for version, cents := range []int64{0, 0, 1000, 750} {
		a, err := accounts.LoadAt(t.Context(), "ada", eventstore.Version(version))
		require.NoError(t, err)
		assert.Equal(t, cents, a.Cents, "version %d", version)
	}
}

func ExampleMoney() {
	fmt.Println(account.Money(-2550, "EUR"), account.Money(5, "GBP"))
	// Output: -25.50 EUR 0.05 GBP
}
