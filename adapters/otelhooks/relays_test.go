package otelhooks_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

// picky is a bus that never takes a message without a payload, and not the first request.
type picky struct {
	relaytest.Bus

	busy bool
}

func (p *picky) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	results := make([]error, len(messages))
	for n, m := range messages {
		switch {
		case !p.busy:
			results[n] = relay.ErrThrottled
		case len(m.Data) == 0:
			results[n] = relay.ErrRefused
		}
	}
	p.busy = true
	return results, ctx.Err()
}

// What a bus takes is counted by the publisher; lag and dead letters are those of a projection of the
// relay's name.
func TestARelayIsTold(t *testing.T) {
	t.Parallel()
	told, store, sink := listen(t), memory.NewStore(), memory.NewSink()
	orders := relay.Relay{Name: "orders", Log: store, Sink: sink, Publisher: told.Publisher("orders", &picky{})}
	_, err := store.Append(t.Context(), appendOf(
		eventstore.EventData{Type: "a", Data: []byte("{}")}, eventstore.EventData{Type: "a", Data: []byte("{}")}, eventstore.EventData{Type: "a"}))
	require.NoError(t, err)
	require.NoError(t, orders.CatchUp(t.Context()))
	observed, err := told.Observe(store, sink, "orders")
	require.NoError(t, err)
	defer func() { assert.NoError(t, observed.Unregister()) }()

	all := told.metrics(t)
	assert.Equal(t, map[string]int64{
		"leftfold.relay=orders": 2, "error.type=refused,leftfold.relay=orders": 1, "error.type=throttled,leftfold.relay=orders": 3,
	}, sums(t, all["leftfold.relay.messages"]))
	assert.NotEmpty(t, counts[float64](t, all["leftfold.relay.publish.duration"]))
	const of = "leftfold.projection=orders,leftfold.projection.stage=live,leftfold.projection.version=1"
	assert.Equal(t, map[string]int64{of: 1}, gauge[int64](t, all["leftfold.projection.parked"]))
}
