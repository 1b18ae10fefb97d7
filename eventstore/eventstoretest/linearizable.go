package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/leftfold/leftfold/eventstore"
)

var linearizableClauses = []clause{
	{"appends and reads of a stream are linearizable, with answers lost", linearizable},
}

// The model of one stream: appends extend it if their expectation holds, reads see all
// of it. A history is right if some order of its operations, each within the time it
// took, explains every answer.
type (
	operation struct {
		stream   eventstore.StreamID
		append   bool // else a read
		expected eventstore.ExpectedVersion
		id       eventstore.EventID
	}
	answer struct {
		refused bool
		lost    bool
		// state is what the answer says about the stream: after an append its version,
		// after a refusal the actual version, after a read the version and the digest.
		state streamState
	}
	streamState struct {
		version eventstore.Version
		digest  uint64 // of the event ids in order
	}
)

func (s streamState) with(id eventstore.EventID) streamState {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%x", s.digest)
	_, _ = h.Write(id[:])
	return streamState{s.version + 1, h.Sum64()}
}

// explain reports whether the answer is possible in the state, and the state after.
func explain(before streamState, op operation, got answer) (bool, streamState) {
	after := before.with(op.id)
	accepted := op.expected.Accepts(before.version)
	switch {
	case !op.append:
		return got.state == before, before
	case got.lost: // it happened, see history.settle
		return accepted, after
	case got.refused:
		return !accepted && got.state.version == before.version, before
	default:
		return accepted && got.state.version == after.version, after
	}
}

var streamModel = porcupine.Model{
	Init: func() any { return streamState{} },
	Step: func(state, input, output any) (bool, any) {
		return explain(state.(streamState), input.(operation), output.(answer))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func linearizable(c *check) {
	const clients, perStream = 8, 60
	operations := c.rounds(5000)
	streams := max(1, clients*operations/perStream)
	network := &lossy{Store: c.store}
	var clock atomic.Int64 // calls and returns in one order, finer than any wall clock
	histories, errs := make([][]porcupine.Operation, clients), make([]error, clients)
	together(clients, func(i int) {
		for n := range operations {
			// All clients walk over the streams together, so that they meet.
			stream := eventstore.NewStreamID("lin", fmt.Sprint((n*streams/operations+rand.IntN(2))%streams))
			op := porcupine.Operation{ClientId: i, Input: randomOperation(stream), Call: clock.Add(1)}
			var err error
			op.Output, err = network.perform(c.ctx, op.Input.(operation))
			op.Return = clock.Add(1)
			histories[i] = append(histories[i], op)
			if err != nil {
				errs[i] = err
				return
			}
		}
	})
	c.must(errors.Join(errs...), "operation")
	for stream, history := range byStream(slices.Concat(histories...)) {
		settled := c.settle(stream, history)
		if result := porcupine.CheckOperationsTimeout(streamModel, settled, time.Minute); result != porcupine.Ok {
			c.fatalf("history of %s is not linearizable (%s):\n%s", stream, result, describe(settled))
		}
	}
}

func randomOperation(stream eventstore.StreamID) operation {
	op := operation{stream: stream, append: rand.IntN(2) == 0, id: eventstore.NewEventID()}
	switch rand.IntN(6) {
	case 0:
		op.expected = eventstore.NoStream
	case 1:
		op.expected = eventstore.StreamExists
	case 2, 3, 4:
		op.expected = eventstore.Exactly(eventstore.Version(rand.IntN(20)))
	}
	return op
}

func (l *lossy) perform(ctx context.Context, op operation) (answer, error) {
	if !op.append {
		state, err := readState(ctx, l.Store, op.stream)
		return answer{state: state}, err
	}
	receipt, err := l.Append(ctx, expecting(op.expected, op.stream, eventstore.EventData{ID: op.id, Type: "a"}))
	if conflict, ok := errors.AsType[*eventstore.VersionConflictError](err); ok {
		return answer{refused: true, state: streamState{version: conflict.Actual}}, nil
	}
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return answer{lost: true}, nil
	}
	return answer{state: streamState{version: receipt.Versions[op.stream]}}, err
}

func readState(ctx context.Context, store eventstore.Store, stream eventstore.StreamID) (state streamState, err error) {
	for e, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{}) {
		if err != nil {
			return state, err
		}
		state = state.with(e.ID)
	}
	return state, nil
}

func byStream(history []porcupine.Operation) map[eventstore.StreamID][]porcupine.Operation {
	parts := map[eventstore.StreamID][]porcupine.Operation{}
	for _, op := range history {
		stream := op.Input.(operation).stream
		parts[stream] = append(parts[stream], op)
	}
	return parts
}

// settle decides the lost answers by the final stream. An append whose event is not in
// it never happened, and leaves the history; one whose event is may have happened at
// any time after its call, so it stays open to the end. Without this the checker would
// have to try both, for each.
func (c *check) settle(stream eventstore.StreamID, history []porcupine.Operation) []porcupine.Operation {
	happened := map[eventstore.EventID]bool{}
	for _, e := range c.stream(stream, eventstore.StreamRange{}) {
		happened[e.ID] = true
	}
	var settled []porcupine.Operation
	for _, op := range history {
		if op.Output.(answer).lost {
			if !happened[op.Input.(operation).id] {
				continue
			}
			op.Return = math.MaxInt64
		}
		settled = append(settled, op)
	}
	return settled
}

func describe(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var text strings.Builder
	for _, op := range history {
		fmt.Fprintf(&text, "[%d, %d] client %d: %s\n", op.Call, op.Return, op.ClientId, streamModel.DescribeOperation(op.Input, op.Output))
	}
	return text.String()
}
