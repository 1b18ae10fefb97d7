package eventstoretest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// partial is a store that has less than the whole contract, as one on a log without
// transactions has.
type partial struct{ *flawed }

var missing = eventstore.Capabilities{Excluded: []eventstore.Part{
	eventstore.Conditions, eventstore.SeveralStreams, eventstore.EmptyAppends, eventstore.Deletion, eventstore.Pruning, eventstore.Importing,
}}

func (partial) Capabilities(context.Context) (eventstore.Capabilities, error) { return missing, nil }

func (p partial) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if _, err := request.Prepare(eventstore.Limits{}); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := missing.Check(request); err != nil {
		return eventstore.Receipt{}, err
	}
	return p.flawed.Append(ctx, request)
}

func (partial) DeleteStream(context.Context, eventstore.StreamID, eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	return eventstore.Receipt{}, &eventstore.UnsupportedError{Part: eventstore.Deletion}
}

func (partial) PruneCommands(context.Context, time.Time) (int64, error) {
	return 0, &eventstore.UnsupportedError{Part: eventstore.Pruning}
}

func (partial) BeginImport(context.Context, eventstore.StoreID) (eventstore.Identity, error) {
	return eventstore.Identity{}, &eventstore.UnsupportedError{Part: eventstore.Importing}
}

// What the store excludes is skipped; all the rest of the contract still holds for it.
func TestAStoreThatExcludesPartsPassesTheRest(t *testing.T) {
	skipped := map[string]int{}
	for _, f := range families {
		for _, cl := range f.clauses {
			if f.name == "restart" {
				continue
			}
			v := examine(t, cl, func(testing.TB) eventstore.Store { return partial{newFlawed(none)} }, Options{Divisor: smallest})
			require.Empty(t, v.failure, cl.rule)
			if v.skipped != "" {
				require.True(t, strings.HasPrefix(v.skipped, "the store excludes "), v.skipped)
				skipped[f.name]++
			}
		}
	}
	t.Log(skipped)
	require.Equal(t, len(deleteClauses), skipped["delete"])
	require.Equal(t, len(pruneClauses), skipped["prune"])
	require.Equal(t, len(portableClauses), skipped["portable"])
	require.Equal(t, len(conditionClauses), skipped["condition"])
	for _, whole := range []string{"capabilities", "content", "stream", "log", "windows", "lost answers"} {
		require.Zero(t, skipped[whole], whole)
	}
}
