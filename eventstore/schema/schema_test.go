package schema_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/schema"
)

type (
	soldV1 struct{ Name string }
	sold   struct {
		Item  string
		Price float64
	}
)

var soldEvent = codec.Event[sold]("till.sold", codec.Version(2),
	codec.Upcast(1, func(old soldV1) (sold, error) {
		if old.Name == "" {
			return sold{}, errors.New("nothing was sold")
		}
		return sold{Item: old.Name}, nil
	}))

func mustSet(t testing.TB, definitions ...codec.Definition) *codec.Set {
	t.Helper()
	set, err := codec.NewSet(definitions...)
	require.NoError(t, err)
	return set
}

// happened appends events of one type and version to till-1.
func happened(t testing.TB, store eventstore.Appender, name string, version int, payloads ...string) {
	t.Helper()
	write := eventstore.Write{Stream: "till-1"}
	for _, payload := range payloads {
		write.Events = append(write.Events, eventstore.EventData{Type: name, SchemaVersion: version, Data: []byte(payload)})
	}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
	require.NoError(t, err)
}

func history(t testing.TB, store eventstore.Appender) {
	happened(t, store, "till.sold", 1, `{"Name":"cup"}`, `{"Name":"lamp"}`)
	happened(t, store, "till.viewed", 1, `not JSON`)
	happened(t, store, "till.sold", 2, `{"Item":"cup","Price":2.5}`)
	happened(t, store, "till.sold", 1, `{"Name":"desk"}`)
}

func TestACensusCountsTheShapesOfALog(t *testing.T) {
	file, err := sqlite.Open(t.Context(), t.TempDir()+"/till.db", sqlite.Options{})
	require.NoError(t, err)
	defer file.Close(context.Background())
	for name, store := range map[string]eventstore.Store{"memory": memory.NewStore(), "sqlite": file} {
		empty, err := schema.Take(t.Context(), store, nil)
		require.NoError(t, err)
		assert.Equal(t, schema.Census{Shapes: []schema.Shape{}}, empty)

		history(t, store)
		var done, through eventstore.Position
		census, err := schema.Take(t.Context(), store, func(d, t eventstore.Position) { done, through = d, t })
		require.NoError(t, err)
		assert.Equal(t, schema.Census{Through: 5, Events: 5, Shapes: []schema.Shape{
			{"till.sold", 1, 3, 1, 5, []eventstore.Position{1, 2}},
			{"till.sold", 2, 1, 4, 4, []eventstore.Position{4}},
			{"till.viewed", 1, 1, 3, 3, []eventstore.Position{3}},
		}}, census, name)
		assert.Equal(t, []eventstore.Position{5, 5}, []eventstore.Position{done, through})
	}
}

func TestAHistoryThatThisBuildReadsPasses(t *testing.T) {
	store := memory.NewStore()
	history(t, store)
	_, err := store.DeleteStream(t.Context(), "till-1", eventstore.Any)
	require.NoError(t, err)
	report, err := schema.Check(t.Context(), store, mustSet(t, soldEvent, codec.Retired("till.viewed", codec.Drop(1))), schema.CheckOptions{})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	assert.Len(t, report.Shapes, 3, "the store's own tombstone is none of ours")
}

// Whatever is wrong with one event is told with where it is.
func TestWhatThisBuildCannotReadOrWouldLoseIsNamed(t *testing.T) {
	known := []codec.Definition{soldEvent, codec.Retired("till.viewed", codec.Drop(1))}
	for name, c := range map[string]struct {
		version       int
		payload, says string
	}{
		"broken":               {2, `{"Item":`, "till.sold (schema version 2) at position 6, version 6 of till-1: unexpected end of JSON input"},
		"another type":         {2, `{"Item":5}`, "version 6 of till-1: json: cannot unmarshal number"},
		"an upcast that fails": {1, `{"Name":""}`, "(schema version 1) at position 6, version 6 of till-1: nothing was sold"},
		"a newer version":      {3, `{}`, "(schema version 3) at position 6, version 6 of till-1: event at position 6 of till-1 is till.sold in schema version 3, this build reads 1 to 2"},
		"a field too many":     {2, `{"Item":"cup","Price":1,"Note":"x"}`, `version 6 of till-1: Note: the type does not take it ("x")`},
		"too many digits":      {2, `{"Item":"cup","Price":9007199254740993}`, "version 6 of till-1: Price: 9007199254740993 comes back as 9007199254740992"},
	} {
		t.Run(name, func(t *testing.T) {
			store := memory.NewStore()
			history(t, store)
			happened(t, store, "till.sold", c.version, c.payload)
			report, err := schema.Check(t.Context(), store, mustSet(t, known...), schema.CheckOptions{})
			require.NoError(t, err)
			require.ErrorContains(t, report.Err(), c.says)
			require.ErrorContains(t, report.Err(), "cannot read 1 of the ")
		})
	}
	store := memory.NewStore()
	history(t, store)
	report, err := schema.Check(t.Context(), store, mustSet(t, soldEvent), schema.CheckOptions{})
	require.NoError(t, err)
	require.ErrorContains(t, report.Err(), "till.viewed (schema version 1) at position 3, version 3 of till-1: this build does not know the type")

	report, err = schema.Check(t.Context(), store, mustSet(t, soldEvent), schema.CheckOptions{Query: eventstore.Types("till.sold")})
	require.NoError(t, err)
	require.NoError(t, report.Err(), "another program reads the rest")
}

// One event in a thousand is broken. A sample may miss it, a check of all does not; and the last
// event is always looked at.
func TestASampleIsSpreadOverTheLogAndEndsWithTheLastEvent(t *testing.T) {
	const n = 1_600
	broken := func(at int) schema.Report {
		store := memory.NewStore()
		payloads := make([]string, n)
		for k := range payloads {
			payloads[k] = `{"Item":"cup"}`
		}
		payloads[at-1] = `{"Item":5}`
		for k := 0; k < n; k += 800 {
			happened(t, store, "till.sold", 2, payloads[k:k+800]...)
		}
		report, err := schema.Check(t.Context(), store, mustSet(t, soldEvent), schema.CheckOptions{})
		require.NoError(t, err)
		if at == 1_599 {
			assert.NoError(t, report.Err(), "it is between two samples")
			report, err = schema.Check(t.Context(), store, mustSet(t, soldEvent), schema.CheckOptions{All: true})
			require.NoError(t, err)
			assert.Equal(t, int64(n), report.Shapes[0].Decoded)
		}
		return report
	}
	for _, at := range []int{1, 100, 1_600, 1_599} {
		report := broken(at)
		assert.Equal(t, int64(1), report.Shapes[0].Failed, "event %d", at)
		assert.Equal(t, eventstore.Position(at), report.Shapes[0].Findings[0].Position)
	}
	assert.InDelta(t, 500, broken(1).Shapes[0].Decoded, 100, "100, and 100 for each time that their number doubles")
}

func TestFindingsOfAShapeAreLimited(t *testing.T) {
	store := memory.NewStore()
	for range 50 {
		happened(t, store, "till.sold", 2, `{"Item":"cup","A":1,"B":1,"C":1}`)
	}
	report, err := schema.Check(t.Context(), store, mustSet(t, soldEvent), schema.CheckOptions{})
	require.NoError(t, err)
	assert.Equal(t, int64(50), report.Shapes[0].Failed)
	assert.Len(t, report.Shapes[0].Findings, 10)

	var text strings.Builder
	require.NoError(t, json.NewEncoder(&text).Encode(report))
	assert.Contains(t, text.String(), `{"through":50,"shapes":[{"type":"till.sold","schema_version":2,"events":50,"first":1,"last":50,"samples":[1,2,4,8,16,32],"decoded":50,"failed":50,"findings":[{"type":"till.sold","schema_version":2,"stream":"till-1","version":1,"position":1,"field":"A","why":`)
}

func TestALogThatCannotBeReadIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store := memory.NewStore()
	history(t, store)
	_, err := schema.Take(ctx, store, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = schema.Check(ctx, store, mustSet(t, soldEvent), schema.CheckOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// plain is a format without optional powers.
type plain struct{}

func (plain) Marshal(value any) ([]byte, error)     { return json.Marshal(value) }
func (plain) Unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// A build whose type has lost a field, and an event in a format that cannot tell.
func ExampleCheck() {
	type Sold struct{ Item string }
	type Paid struct{ Cents int64 }
	events, _ := codec.NewSet(codec.Event[Sold]("till.sold"), codec.Event[Paid]("till.paid", codec.In(plain{})))

	ctx, store := context.Background(), memory.NewStore()
	for name, payload := range map[string]string{"till.sold": `{"Item":"cup","Discount":5}`, "till.paid": `{"Cents":250}`} {
		_, _ = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: eventstore.StreamID(name + "-1"), Events: []eventstore.EventData{{Type: name, Data: []byte(payload)}},
		}}})
	}

	report, err := schema.Check(ctx, store, events, schema.CheckOptions{All: true})
	fmt.Println(err, report.Err() != nil)
	for _, s := range report.Shapes {
		fmt.Println(s.Type, s.Events, s.Failed, s.LossUnknown)
	}
	// Output:
	// <nil> true
	// till.paid 1 0 true
	// till.sold 1 1 false
}

func ExampleCensus_Print() {
	ctx, store := context.Background(), memory.NewStore()
	for version := 1; version <= 2; version++ {
		_, _ = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: "till-1", Events: []eventstore.EventData{{Type: "till.sold", SchemaVersion: version}},
		}}})
	}
	census, err := schema.Take(ctx, store, nil)
	fmt.Println(err, census.Print(os.Stdout))
	// Output:
	// event type  version  events  first  last  some are at
	// till.sold   1        1       1      1     1
	// till.sold   2        1       2      2     2
	// <nil> <nil>
}

func ExampleReport_Print() {
	type Sold struct{ Item string }
	events, _ := codec.NewSet(codec.Event[Sold]("till.sold"))
	ctx, store := context.Background(), memory.NewStore()
	_, _ = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "till-1", Events: []eventstore.EventData{{Type: "till.sold", Data: []byte(`{"Item":"cup","Discount":5}`)}},
	}}})
	report, err := schema.Check(ctx, store, events, schema.CheckOptions{})
	fmt.Println(err, report.Print(os.Stdout))
	// Output:
	// event type  version  events  first  last  decoded  result
	// till.sold   1        1       1      1     1        1 fail
	// FAILED: till.sold (schema version 1) at position 1, version 1 of till-1: Discount: the type does not take it (5)
	// <nil> <nil>
}
