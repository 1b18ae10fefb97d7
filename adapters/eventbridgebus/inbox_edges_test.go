package eventbridgebus_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// The bus limits the message with its envelope, and so does the store that holds it: data that is JSON with
// spaces are in base64 there, and come out as they went in.
func TestTheLargestEventThatTheBusTakesCanBeHeld(t *testing.T) {
	t.Parallel()
	publisher := eventbridgebus.Publisher{Client: nil, Bus: busName, Source: source}
	for name, space := range map[string]string{"compact": "", "with spaces": " "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := relay.Message{
				ID: "1", Key: "order-1", Source: eventstore.StoreID{1}, Stream: "order-1", Version: 2, Position: 2,
				EventID: eventstore.EventID{2}, Type: "order.changed", SchemaVersion: 1,
			}
			size := func(n int) int {
				m.Data = []byte(`["` + strings.Repeat("x", n) + `"` + space + `]`)
				return publisher.Size(m)
			}
			most := publisher.Limits().MessageBytes
			room := most - size(0)
			if space != "" {
				room = room * 3 / 4
			}
			require.LessOrEqual(t, size(room-4), most)
			require.Greater(t, publisher.Size(m), most-20)
			detail, err := m.CloudEvent()
			require.NoError(t, err)
			inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: m.Source}
			require.NoError(t, inbox.Handle(t.Context(), fmt.Appendf(nil, `{"detail":%s}`, detail)))
			require.NoError(t, inbox.Handle(t.Context(), delivered(1)))
			for event, err := range inbox.Store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{After: 1}) {
				require.NoError(t, err)
				require.Equal(t, m.Data, event.Data)
			}
			gaps, err := inbox.Gaps(t.Context())
			require.NoError(t, err)
			require.Empty(t, gaps)
		})
	}
}

// The inbox leaves these out of what it reads, so an event of the publisher's would vanish, and its stream would have a hole.
func TestAnEventWithATypeOfTheInboxItselfIsRefused(t *testing.T) {
	t.Parallel()
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{1}}
	for _, name := range []string{"leftfold.held", "leftfold.skipped"} {
		detail, err := relay.Message{
			ID: "1", Key: "order-1", Source: eventstore.StoreID{1}, Stream: "order-1", Version: 1, Position: 1, EventID: eventstore.EventID{1}, Type: name, SchemaVersion: 1,
		}.CloudEvent()
		require.NoError(t, err)
		require.ErrorIs(t, inbox.Handle(t.Context(), fmt.Appendf(nil, `{"detail":%s}`, detail)), eventstore.ErrInvalid)
	}
}

// between runs something once, before an append of an event of that type.
type between struct {
	*memory.Store

	before string
	do     func()
}

func (b *between) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if do := b.do; do != nil && request.Writes[0].Events[0].Type == b.before {
		b.do = nil
		do()
	}
	return b.Store.Append(ctx, request)
}

// While one process is about to hold an event, another brings the stream to its end, that event too. The
// copy that is held then is nobody's, and does no harm.
func TestACopyThatIsHeldAfterTheStreamWasDeletedIsDone(t *testing.T) {
	t.Parallel()
	store := &between{Store: memory.NewStore(), before: "leftfold.held"}
	inbox := eventbridgebus.Inbox{Store: store, Source: eventstore.StoreID{1}}
	tombstone := deliveredType(t, 3, eventstore.TombstoneType)
	store.do = func() {
		for _, event := range [][]byte{delivered(1), delivered(2), tombstone} {
			require.NoError(t, inbox.Handle(t.Context(), event))
		}
	}
	require.NoError(t, inbox.Handle(t.Context(), delivered(2)), "it has come")
	for range 2 {
		for _, event := range [][]byte{tombstone, delivered(2), delivered(1)} {
			require.NoError(t, inbox.Handle(t.Context(), event), "a repeat")
		}
	}
	gaps, err := inbox.Gaps(t.Context())
	require.NoError(t, err)
	require.Empty(t, gaps)
	require.Equal(t, []string{"order.changed", "order.changed", eventstore.TombstoneType}, typesOf(t, inbox))
}

func deliveredType(t testing.TB, version eventstore.Version, name string) []byte {
	detail, err := relay.Message{
		ID: fmt.Sprint(version), Key: "order-1", Source: eventstore.StoreID{1}, Stream: "order-1", Version: version,
		Position: eventstore.Position(version), EventID: eventstore.EventID{byte(version)}, Type: name, SchemaVersion: 1,
	}.CloudEvent()
	require.NoError(t, err)
	return fmt.Appendf(nil, `{"detail":%s}`, detail)
}

// typesOf returns the types of what readers of the inbox see.
func typesOf(t testing.TB, inbox eventbridgebus.Inbox) (all []string) {
	read, err := inbox.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for event, err := range read.Events() {
		require.NoError(t, err)
		all = append(all, event.Type)
	}
	return all
}

// dying is a store that a process loses after its next append: it cannot even read.
type dying struct {
	eventstore.Store

	dead bool
}

var errDead = errors.New("the process is dead")

func (d *dying) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := d.Store.Append(ctx, request)
	d.dead = err == nil
	return receipt, err
}

func (d *dying) ReadStream(ctx context.Context, stream eventstore.StreamID, of eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	if d.dead {
		return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, errDead) }
	}
	return d.Store.ReadStream(ctx, stream, of)
}

// Between the append of what was missing and the move of what it makes room for there is a place to die, and
// after each move too. The event comes again, as a repeat, and the rest goes on; so it does from Gaps, if it has
// become a dead letter instead.
func TestAProcessThatDiesBetweenAnAppendAndTheMoveOfWhatIsHeldLeavesNoGap(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(eventbridgebus.Inbox) error{
		"it comes again":           func(i eventbridgebus.Inbox) error { return i.Handle(t.Context(), delivered(1)) },
		"the last one comes again": func(i eventbridgebus.Inbox) error { return i.Handle(t.Context(), delivered(3)) },
		"it is a dead letter": func(i eventbridgebus.Inbox) error {
			_, err := i.Gaps(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.NewStore()
			inbox := eventbridgebus.Inbox{Store: store, Source: eventstore.StoreID{1}}
			require.NoError(t, inbox.Handle(t.Context(), delivered(3)))
			require.NoError(t, inbox.Handle(t.Context(), delivered(2)))
			dies := inbox
			dies.Store = &dying{Store: store}
			require.ErrorIs(t, dies.Handle(t.Context(), delivered(1)), errDead)
			require.Len(t, typesOf(t, inbox), 1)
			require.NoError(t, again(inbox))
			require.Len(t, typesOf(t, inbox), 3)
		})
	}
}
