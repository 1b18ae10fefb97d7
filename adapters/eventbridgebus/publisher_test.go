package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

func TestTheBusIsAPublisher(t *testing.T) {
	t.Parallel()
	relaytest.Run(t, func(t testing.TB) relaytest.Subject {
		bus, _, _ := newBus(t, ebfake.Options{})
		return relaytest.Subject{
			Publisher: eventbridgebus.Publisher{Client: bus.EventBridge(), Bus: busName, Source: source, MaxRequestBytes: 20_000},
			Break:     func(id string, fault relaytest.Fault) { bus.Break(id, faults[fault]) },
			Arrivals:  func(context.Context) ([]relaytest.Arrival, error) { return arrivals(bus) },
			Parts:     relaytest.Parts{Store: memory.NewStore(), Sink: memory.NewSink()},
		}
	})
}

var faults = map[relaytest.Fault]ebfake.Fault{
	relaytest.Busy: ebfake.Busy, relaytest.Throttled: ebfake.Throttled, relaytest.Lost: ebfake.Lost,
	relaytest.AnswerLost: ebfake.AnswerLost, relaytest.Refused: ebfake.Refused,
}

func arrivals(bus *ebfake.Fake) (all []relaytest.Arrival, err error) {
	for _, detail := range bus.Taken() {
		m, err := relay.ParseCloudEvent(detail)
		if err != nil {
			return nil, err
		}
		all = append(all, relaytest.Arrival{ID: m.ID, Key: m.Key, Version: m.Version, Type: m.Type, Data: string(m.Data)})
	}
	return all, nil
}

// takenOnce returns an error if the bus has taken a message twice, though no answer was lost.
func takenOnce(bus *ebfake.Fake) error {
	seen := map[string]bool{}
	all, err := arrivals(bus)
	for _, a := range all {
		if seen[a.ID] {
			return errors.New("a message was sent again that the bus had taken")
		}
		seen[a.ID] = true
	}
	return err
}

func TestOnlyTheEntriesThatFailedAreSentAgain(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(relay.Publisher) relay.Publisher{
		"":                                  func(p relay.Publisher) relay.Publisher { return p },
		"a publisher that resends them all": func(p relay.Publisher) relay.Publisher { return resendsAll{p} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t, 20, 5)
			bus, _, _ := newBus(t, ebfake.Options{Seed: 7, Fails: 0.1})
			p.publishBy(t, by(eventbridgebus.Publisher{Client: bus.EventBridge(), Bus: busName, Source: source}))
			if err := takenOnce(bus); name != "" {
				require.ErrorContains(t, err, "sent again", "the planted bug was not caught")
				return
			}
			require.NoError(t, takenOnce(bus))
			require.Len(t, bus.Taken(), 100)
			for _, entries := range bus.Requests() {
				require.LessOrEqual(t, entries, 10)
			}
		})
	}
}

// resendsAll has the planted bug that an entry that failed is the failure of the request.
type resendsAll struct{ relay.Publisher }

func (r resendsAll) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	results, err := r.Publisher.Publish(ctx, messages)
	if failed := errors.Join(results...); failed != nil {
		return nil, failed
	}
	return results, err
}

func TestElevenEntriesAreRefusedByTheBus(t *testing.T) {
	t.Parallel()
	bus, _, _ := newBus(t, ebfake.Options{})
	entry := types.PutEventsRequestEntry{Source: new("s"), DetailType: new("t"), Detail: new("{}")}
	in := &eventbridge.PutEventsInput{}
	for range 11 {
		in.Entries = append(in.Entries, entry)
	}
	_, err := bus.EventBridge().PutEvents(t.Context(), in)
	require.ErrorContains(t, err, "11 entries")
	in.Entries = in.Entries[:10]
	_, err = bus.EventBridge().PutEvents(t.Context(), in)
	require.NoError(t, err)
}

func TestAnOversizeEventIsADeadLetterThatSaysWhatToDoAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 2, 1)
	_, err := p.store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "thing-large", Events: []eventstore.EventData{{Type: "thing.counted", Data: []byte(`"` + strings.Repeat("x", 1_000_000) + `"`)}},
	}}})
	require.NoError(t, err)
	p.add(t, 2, 1)
	bus, _, _ := newBus(t, ebfake.Options{})
	p.publish(t, bus)
	require.Len(t, bus.Taken(), 4)
	parked, err := p.sink.Parked(t.Context(), relay.Relay{Name: "things_out"}.Generation(), p.id(t))
	require.NoError(t, err)
	require.Len(t, parked, 1)
	require.Equal(t, "thing-large", parked[0].Key)
	require.Contains(t, parked[0].Cause, "the limit is 1000000")
	require.Contains(t, parked[0].Cause, "claim check")
}

func TestTheSizeOfAnEntryIsWhatTheGuideSays(t *testing.T) {
	t.Parallel()
	entry, err := eventbridgebus.NewEntry(source, relay.Message{ID: "1", Key: "group", Type: "thing.counted", Data: []byte("1")})
	require.NoError(t, err)
	require.Equal(t, 14+len(source)+len("thing.counted")+len(entry.Detail), entry.Size())
	require.Equal(t, "group", entry.EventGroupID)
	require.Equal(t, "1", entry.DeduplicationID)
	require.True(t, json.Valid([]byte(entry.Detail)))
}

func TestATypeThatIsTooLongForTheBusIsRefusedAndTheOthersGo(t *testing.T) {
	t.Parallel()
	bus, _, _ := newBus(t, ebfake.Options{})
	p := eventbridgebus.Publisher{Client: bus.EventBridge(), Bus: busName, Source: source}
	results, err := p.Publish(t.Context(), []relay.Message{
		{ID: "1", Key: "a", Type: strings.Repeat("t", 129)}, {ID: "2", Key: "b", Type: strings.Repeat("t", 128)},
	})
	require.NoError(t, err)
	require.ErrorIs(t, results[0], relay.ErrRefused)
	require.ErrorContains(t, results[0], "Translate")
	require.NoError(t, results[1])
	require.Len(t, bus.Taken(), 1)
}
