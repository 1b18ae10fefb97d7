package aggregate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// A till's history: version 1 of till.sold told what was paid, too, till.basket was many sales in
// one event, and till.opened is of no interest any more.
type (
	Till      struct{ Story string }
	TillEvent interface{ tell(t *Till) }
	Sold      struct{ Item string }
	Paid      struct{ Cents int64 }
	soldV1    struct {
		Item  string
		Cents int64
	}
	basketV1 struct{ Items []string }
)

func (e Sold) tell(t *Till) { t.Story += "sold " + e.Item + "; " }
func (e Paid) tell(t *Till) { t.Story += fmt.Sprintf("paid %d; ", e.Cents) }

var Tills = aggregate.Define("till", TillEvent.tell,
	codec.Event[Paid]("till.paid"),
	codec.Event[Sold]("till.sold", codec.Version(2), codec.UpcastEach(1, func(old soldV1) ([]TillEvent, error) {
		return []TillEvent{Sold{old.Item}, Paid{old.Cents}}, nil
	})),
	codec.Retired("till.basket", codec.UpcastEach(1, func(old basketV1) ([]Sold, error) {
		var sold []Sold
		for _, item := range old.Items {
			sold = append(sold, Sold{item})
		}
		return sold, nil
	})),
	codec.Retired("till.opened", codec.Drop(1)))

// eachStore runs the test on a store that has the history of till-1.
func eachStore(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	onFile := func(t *testing.T) eventstore.Store {
		store, err := sqlite.Open(t.Context(), t.TempDir()+"/till.db", sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		return store
	}
	for name, open := range map[string]func(t *testing.T) eventstore.Store{
		"memory": func(*testing.T) eventstore.Store { return memory.NewStore() },
		"sqlite": onFile,
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			happened(t, store, "till.opened", 1, `{"at":"09:00"}`)
			happened(t, store, "till.sold", 1, `{"Item":"cup","Cents":250}`)
			happened(t, store, "till.basket", 1, `{"Items":["lamp","desk"]}`)
			happened(t, store, "till.basket", 1, `{}`)
			happened(t, store, "till.paid", 1, `{"Cents":900}`)
			test(t, store)
		})
	}
}

// happened appends an event as a build of its time did.
func happened(t *testing.T, store eventstore.Appender, name string, version int, payload string, tags ...eventstore.Tag) {
	t.Helper()
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "till-1",
		Events: []eventstore.EventData{{Type: name, SchemaVersion: version, Data: []byte(payload), Tags: tags}},
	}}})
	require.NoError(t, err)
}

const oldStory = "sold cup; paid 250; sold lamp; sold desk; paid 900; "

func TestAStateIsTheFoldOfWhatOldEventsStandFor(t *testing.T) {
	eachStore(t, func(t *testing.T, store eventstore.Store) {
		tills := aggregate.NewRepository(store, Tills)
		till, version, err := tills.Load(t.Context(), "1")
		require.NoError(t, err)
		assert.Equal(t, oldStory, till.Story)
		assert.Equal(t, eventstore.Version(5), version, "versions count stored events")

		for version, want := range []string{"", "", "sold cup; paid 250; ", "sold cup; paid 250; sold lamp; sold desk; "} {
			till, err := tills.LoadAt(t.Context(), "1", eventstore.Version(version))
			require.NoError(t, err)
			assert.Equal(t, want, till.Story, "version %d", version)
		}

		receipt, err := tills.Execute(t.Context(), "1", func(till Till) ([]TillEvent, error) {
			assert.Equal(t, oldStory, till.Story)
			return []TillEvent{Sold{"vase"}}, nil
		}, aggregate.ExpectVersion(5))
		require.NoError(t, err)
		assert.Equal(t, eventstore.Version(6), receipt.Versions["till-1"])
	})
}

// A query names types as they are today, and yet nothing is missed.
func TestADecisionOverAQuerySeesWhatOldEventsStandFor(t *testing.T) {
	eachStore(t, func(t *testing.T, store eventstore.Store) {
		var paid []int64
		fold := func(cents *int64, event any, r eventstore.Recorded) {
			paid = append(paid, event.(Paid).Cents) // and nothing else
			*cents += event.(Paid).Cents
		}
		decide := func(cents int64) ([]aggregate.Write, error) {
			return []aggregate.Write{{Stream: "till-2", Events: []any{Paid{cents}}}}, nil
		}
		_, err := aggregate.Decide(t.Context(), store, Tills.Events(), eventstore.Types("till.paid"), fold, decide)
		require.NoError(t, err)
		assert.Equal(t, []int64{250, 900}, paid)
	})
}

func TestADecisionIsMadeAgainWhenAnOldProgramAppendsWhatItStandsOn(t *testing.T) {
	eachStore(t, func(t *testing.T, store eventstore.Store) {
		var seen []int64
		fold := func(cents *int64, event any, _ eventstore.Recorded) { *cents += event.(Paid).Cents }
		decide := func(cents int64) ([]aggregate.Write, error) {
			if seen = append(seen, cents); len(seen) == 1 {
				happened(t, store, "till.sold", 1, `{"Item":"cup","Cents":1}`) // by the program before this one
			}
			return []aggregate.Write{{Stream: "till-2", Events: []any{Paid{cents}}}}, nil
		}
		_, err := aggregate.Decide(t.Context(), store, Tills.Events(), eventstore.Types("till.paid"), fold, decide)
		require.NoError(t, err)
		assert.Equal(t, []int64{1150, 1151}, seen)
	})
}

// The tags of a stored event are those of all that it stands for.
func TestATaggedQueryTakesOfAnOldEventWhatItAsksFor(t *testing.T) {
	store := memory.NewStore()
	happened(t, store, "till.sold", 1, `{"Item":"cup","Cents":1}`, "shop:a")
	happened(t, store, "till.sold", 1, `{"Item":"lamp","Cents":2}`, "shop:b")
	query := eventstore.Query{Items: []eventstore.QueryItem{
		{Types: []string{"till.paid"}, Tags: []eventstore.Tag{"shop:a"}},
		{Types: []string{"till.sold"}, Tags: []eventstore.Tag{"shop:b"}},
	}}
	var seen []any
	_, err := aggregate.Decide(t.Context(), store, Tills.Events(), query,
		func(_ *int, event any, _ eventstore.Recorded) { seen = append(seen, event) },
		func(int) ([]aggregate.Write, error) { return nil, nil })
	require.NoError(t, err)
	assert.Equal(t, []any{Paid{1}, Sold{"lamp"}}, seen)
}
