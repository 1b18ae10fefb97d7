package aggregate_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
)

// No update is lost and none is made twice, however many writers there are.
func TestWritersOfOneAggregateTakeTurns(t *testing.T) {
	store, accounts := newBank(t)
	accounts = accounts.WithOptions(aggregate.Options{MaxAttempts: 1000})
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			for range 10 {
				_, err := accounts.Execute(t.Context(), "1", Deposit(1))
				assert.NoError(t, err)
			}
		})
	}
	writers.Wait()
	require.Equal(t, int64(260), balance(t, store, "1"))
}
