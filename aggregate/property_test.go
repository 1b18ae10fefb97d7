package aggregate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// Whatever commands are executed, and however often each is repeated: what is loaded is
// the fold of the events that took effect, once each, and so is every state before it.
func TestTheLoadedStateIsTheFoldOfItsHistory(t *testing.T) {
	event := rapid.OneOf(
		rapid.Map(rapid.StringN(1, 5, -1), func(owner string) Event { return Opened{owner} }),
		rapid.Map(rapid.Int64Range(0, 1000), func(cents int64) Event { return Deposited{cents} }),
		rapid.Map(rapid.Int64Range(0, 1000), func(cents int64) Event { return Withdrawn{cents} }),
	)
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
		history := []Event{}
		commands := rapid.SliceOfN(rapid.SliceOfN(event, 0, 4), 1, 12).Draw(rt, "commands")
		for n, events := range commands {
			repeats := rapid.IntRange(1, 3).Draw(rt, "repeats")
			for range repeats {
				_, err := accounts.Execute(ctx, "1", func(Account) ([]Event, error) { return events, nil }, aggregate.CommandID(string(rune('a'+n))))
				require.NoError(rt, err)
			}
			history = append(history, events...)
		}

		for version := range len(history) + 1 {
			var want Account
			Accounts.Fold(&want, history[:version]...)
			got, err := accounts.LoadAt(ctx, "1", eventstore.Version(version))
			require.NoError(rt, err)
			assert.Equal(rt, want, got)
		}
		_, version, err := accounts.Load(ctx, "1")
		require.NoError(rt, err)
		assert.EqualValues(rt, len(history), version)
	})
}
