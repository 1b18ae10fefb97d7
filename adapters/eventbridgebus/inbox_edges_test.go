package eventbridgebus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

func deliveredAs(t testing.TB, version eventstore.Version, id eventstore.EventID, data string) []byte {
	detail, err := relay.Message{
		ID: id.String(), Key: "order-1", Source: eventstore.StoreID{1}, Stream: "order-1", Version: version,
		Position: eventstore.Position(version), EventID: id, Type: "order.changed", SchemaVersion: 1, Data: []byte(data),
	}.CloudEvent()
	require.NoError(t, err)
	return fmt.Appendf(nil, `{"detail":%s}`, detail)
}

func TestAnEventThatIsHeldWithAnotherIDIsAnotherPast(t *testing.T) {
	t.Parallel()
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{1}}
	require.NoError(t, inbox.Handle(t.Context(), deliveredAs(t, 2, eventstore.EventID{2}, `"a"`)))
	require.NoError(t, inbox.Handle(t.Context(), deliveredAs(t, 2, eventstore.EventID{2}, `"a"`)), "a repeat")
	require.ErrorIs(t, inbox.Handle(t.Context(), deliveredAs(t, 2, eventstore.EventID{9}, `"b"`)), eventstore.ErrDiverged)
}

// narrow is a store that takes less in one append than there are large events held.
type narrow struct{ eventstore.Store }

func (n narrow) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if size, most := request.Bytes(), 1_150_000; size > most {
		return eventstore.Receipt{}, &eventstore.LimitError{What: "append: bytes", Size: size, Limit: most}
	}
	return n.Store.Append(ctx, request)
}

func TestLargeEventsThatAreHeldFindTheirPlaceByMoreThanOneAppend(t *testing.T) {
	t.Parallel()
	inbox := eventbridgebus.Inbox{Store: narrow{memory.NewStore()}, Source: eventstore.StoreID{1}}
	data := `"` + strings.Repeat("x", 400_000) + `"`
	for _, version := range []eventstore.Version{2, 3, 4} {
		require.NoError(t, inbox.Handle(t.Context(), deliveredAs(t, version, eventstore.EventID{byte(version)}, data)))
	}
	require.NoError(t, inbox.Handle(t.Context(), delivered(1)))
	gaps, err := inbox.Gaps(t.Context())
	require.NoError(t, err)
	require.Empty(t, gaps)
}
