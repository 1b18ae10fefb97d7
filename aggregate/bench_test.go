package aggregate_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

const benchmarkEvents = 1_000_000

// BenchmarkFold folds a million events that are already Go values: what the aggregate
// itself costs. Goal: 1 M events/s.
func BenchmarkFold(b *testing.B) {
	history := make([]Event, benchmarkEvents)
	for n := range history {
		history[n] = Deposited{int64(n)}
	}
	b.ReportAllocs()
	for b.Loop() {
		var account Account
		Accounts.Fold(&account, history...)
	}
	perSecond(b, benchmarkEvents)
}

// BenchmarkLoad loads an aggregate of a million stored events: read, decode JSON, fold.
// Goal: 300 k events/s on one core.
func BenchmarkLoad(b *testing.B) {
	accounts := aggregate.NewRepository(endless{b}, Accounts)
	b.ReportAllocs()
	for b.Loop() {
		_, version, err := accounts.Load(b.Context(), "1")
		require.NoError(b, err)
		require.EqualValues(b, benchmarkEvents, version)
	}
	perSecond(b, benchmarkEvents)
}

// BenchmarkExecute appends to an aggregate that stays short.
func BenchmarkExecute(b *testing.B) {
	for name, options := range map[string][]aggregate.ExecuteOption{"plain": nil, "with command id": {aggregate.CommandID("x")}} {
		b.Run(name, func(b *testing.B) {
			accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
			id := eventstore.NewEventID() // a fresh aggregate each time, so that loading costs nothing
			b.ReportAllocs()
			for b.Loop() {
				id[15]++
				if id[15] == 0 {
					id = eventstore.NewEventID()
				}
				_, err := accounts.Execute(b.Context(), id.String(), Deposit(1), options...)
				require.NoError(b, err)
			}
		})
	}
}

// endless is a store with one stream of a million deposits.
type endless struct{ tb testing.TB }

func (s endless) ReadStream(context.Context, eventstore.StreamID, eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	data, err := Accounts.Events().Encode(Deposited{Cents: 12_50})
	require.NoError(s.tb, err)
	return func(yield func(eventstore.Recorded, error) bool) {
		r := eventstore.Recorded{EventData: data, Stream: "account-1"}
		for r.Version < benchmarkEvents {
			r.Version++
			r.Position++
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (endless) Append(context.Context, eventstore.AppendRequest) (eventstore.Receipt, error) {
	return eventstore.Receipt{}, nil
}

func (endless) LookupCommand(context.Context, eventstore.Command) (eventstore.Receipt, bool, error) {
	return eventstore.Receipt{}, false, nil
}

func (endless) Head(context.Context) (eventstore.Token, error) { return eventstore.Token{}, nil }

func perSecond(b *testing.B, events int) {
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
