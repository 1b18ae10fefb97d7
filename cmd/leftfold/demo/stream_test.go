package demo

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
	"github.com/leftfold/leftfold/relay"
)

// A stream that lacks an event of a log, has two of a stream of events the wrong way round, or one that no log
// has, is found out; repeats and what others put there are not held against it.
func TestWhatTheStreamLacksIsNamed(t *testing.T) {
	t.Parallel()
	parts, source, log := threeEvents(t)
	for name, c := range map[string]struct {
		put   []int
		wrong string
		is    streamed
	}{
		"all, with repeats": {[]int{0, 0, 1, 0, 2, other}, "", streamed{Records: 5, Repeats: 2, Events: 3}},
		"one is lost":       {[]int{0, 1}, "the stream lacks 1 of 3 events", streamed{Records: 2, Events: 2}},
		"the wrong way":     {[]int{0, 2, 1}, "the stream has version 2 of order-1 after version 3", streamed{Records: 3, Events: 3}},
		"one too many":      {[]int{0, 1, 2, made}, "and no log has", streamed{Records: 4, Events: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := kinesisfake.New(kinesisfake.Options{})
			_, err := fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("shop"), ShardCount: aws.Int32(2)})
			require.NoError(t, err)
			for _, n := range c.put {
				m := message(source, log[max(n, 0)])
				switch n {
				case other:
					m.Source = eventstore.NewStoreID()
				case made:
					m.EventID, m.Version = eventstore.NewEventID(), 4
				}
				results, err := kinesisstore.Feed{API: fake, Stream: "shop"}.Publish(t.Context(), []relay.Message{m})
				require.NoError(t, errors.Join(append(results, err)...))
			}
			got, err := readStream(t.Context(), fake, "shop", parts)
			require.NoError(t, err)
			if c.wrong == "" {
				assert.Empty(t, got.wrong)
			} else {
				require.Len(t, got.wrong, 1)
				assert.Contains(t, got.wrong[0], c.wrong)
			}
			got.wrong = nil
			assert.Equal(t, c.is, *got)
		})
	}
}

// Messages that are of none of the events.
const (
	other = -1 // of another shop
	made  = -2 // that no log has
)

// threeEvents are a shop in which an order was placed, accepted and fulfilled.
func threeEvents(t *testing.T) (books.Services, eventstore.StoreID, []eventstore.Recorded) {
	t.Helper()
	parts := books.Services{}
	for _, name := range shop.Names {
		service, err := shop.Config{}.Service(name, discovery.Static{})
		require.NoError(t, err)
		parts[name] = books.Part{Service: service, Store: &host.Store{Store: memory.NewStore(), Sink: memory.NewSink()}}
	}
	store := parts["order"].Store
	receipt, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "order-1", Events: []eventstore.EventData{{Type: isPlaced}, {Type: "order.accepted"}, {Type: isFulfilled}},
	}}})
	require.NoError(t, err)
	var log []eventstore.Recorded
	for m, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		log = append(log, m)
	}
	return parts, receipt.Token.Store, log
}

func message(source eventstore.StoreID, m eventstore.Recorded) relay.Message {
	return relay.Message{
		ID: m.ID.String(), Key: string(m.Stream), Source: source, Stream: m.Stream, Version: m.Version, Position: m.Position,
		EventID: m.ID, Type: m.Type, SchemaVersion: 1, Data: []byte("{}"), RecordedAt: m.RecordedAt,
	}
}
