package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/leftfold/leftfold/eventstore"
)

var lostAnswerClauses = []clause{
	{"clients that retry lost answers under their command id duplicate nothing and lose nothing", lostAnswers},
}

// lossy loses a quarter of the answers of the store it wraps: half of those before
// the append was made, half after. The client cannot tell which.
type lossy struct {
	eventstore.Store
	before, after atomic.Int64
}

func (l *lossy) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	fate := rand.IntN(8)
	if fate == 0 {
		l.before.Add(1)
		return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
	}
	receipt, err := l.Store.Append(ctx, request)
	if fate == 1 {
		l.after.Add(1)
		return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
	}
	return receipt, err
}

func lostAnswers(c *check) {
	const clients = 8
	commands := c.rounds(625)
	network := &lossy{Store: c.store}
	acked, errs := make([]map[string]eventstore.Receipt, clients), make([]error, clients)
	together(clients, func(i int) { acked[i], errs[i] = network.client(c.ctx, i, commands) })
	c.must(errors.Join(errs...), "append under lost answers")
	if network.before.Load() == 0 || network.after.Load() == 0 {
		c.fatalf("not tested: no answer was lost; make the torture larger")
	}

	times := map[string]int{}
	for _, e := range c.log(eventstore.LogQuery{}) {
		times[string(e.Data)]++
		receipt, ok := acked[e.Data[0]-'0'][string(e.Data)]
		if !ok || receipt.Token.Position != e.Position || receipt.Versions[e.Stream] != e.Version {
			c.fatalf("event %s stands at %d, version %d; its receipt says %+v", e.Data, e.Position, e.Version, receipt)
		}
	}
	for name, n := range times {
		equal(c, "appends of command "+name, n, 1)
	}
	equal(c, "commands in the log", len(times), clients*commands)
}

// client sends commands one after the other, each until it has an answer. Every third
// expects the version that the client has seen; a repeat of it meets its own event.
func (l *lossy) client(ctx context.Context, i, commands int) (map[string]eventstore.Receipt, error) {
	own := eventstore.NewStreamID("client", fmt.Sprint(i))
	var version eventstore.Version
	acked := map[string]eventstore.Receipt{}
	for n := range commands {
		name := fmt.Sprintf("%d/%d", i, n)
		e := eventstore.EventData{Type: "done", Data: []byte(name)}
		request := to("shared-1", e)
		if n%3 == 0 {
			request = expecting(eventstore.Exactly(version), own, e)
			version++
		}
		receipt, err := l.insist(ctx, named(request, name, name))
		if err != nil {
			return acked, fmt.Errorf("command %s: %w", name, err)
		}
		acked[name] = receipt
	}
	return acked, nil
}

func (l *lossy) insist(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	for {
		receipt, err := l.Append(ctx, request)
		if !errors.Is(err, eventstore.ErrOutcomeUnknown) {
			return receipt, err
		}
	}
}
