package jsonv2_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/jsonv2"
)

// kitchen has a field of each kind about which the two formats could disagree.
type kitchen struct {
	Text     string             `json:"text"`
	Count    int64              `json:"count,omitempty"`
	Quoted   int64              `json:"quoted,string"`
	Share    float64            `json:"share"`
	On       bool               `json:"on,omitempty"`
	Bytes    []byte             `json:"bytes"`
	Hash     [4]byte            `json:"hash"`
	Names    []string           `json:"names"`
	Left     []string           `json:"left,omitempty"`
	ByName   map[string]int     `json:"by_name"`
	ByNumber map[int]string     `json:"by_number"`
	Took     time.Duration      `json:"took"`
	At       time.Time          `json:"at"`
	Maybe    *string            `json:"maybe"`
	Extra    map[string]any     `json:"extra"`
	Nested   struct{ Deep int } `json:"nested"`
	Untagged uint64
}

func sets(t testing.TB) (v1, v2 *codec.Set) {
	t.Helper()
	v1, err := codec.NewSet(codec.Event[kitchen]("kitchen"))
	require.NoError(t, err)
	v2, err = codec.NewSet(codec.Event[kitchen]("kitchen", codec.In(jsonv2.Format{})))
	require.NoError(t, err)
	return v1, v2
}

func decode(set *codec.Set, name string, version int, data []byte) ([]any, error) {
	return set.Decode(eventstore.Recorded{EventData: eventstore.EventData{Type: name, SchemaVersion: version, Data: data}})
}

// What one format has written the other one reads, to the same value; and the bytes are the same.
func TestBothFormatsStoreTheSame(t *testing.T) {
	v1, v2 := sets(t)
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.String(), 0, 3)
		event := kitchen{
			Text:  rapid.SampledFrom([]string{"", "<b> & \u2028", "naïve", "\"\\\x00"}).Draw(t, "text") + rapid.String().Draw(t, "more"),
			Count: rapid.Int64().Draw(t, "count"), Quoted: rapid.Int64().Draw(t, "quoted"), Share: rapid.Float64().Draw(t, "share"),
			On: rapid.Bool().Draw(t, "on"), Names: texts.Draw(t, "names"), Left: texts.Draw(t, "left"),
			Took: time.Duration(rapid.Int64().Draw(t, "took")), Untagged: rapid.Uint64().Draw(t, "untagged"),
			At: time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC(),
		}
		if rapid.Bool().Draw(t, "full") {
			event.Bytes, event.Hash, event.Maybe = []byte{0, 255}, [4]byte{1, 2, 3, 4}, &event.Text
			event.ByName, event.ByNumber = map[string]int{"b": 1, "a": 2}, map[int]string{10: "x", 9: "y"}
			event.Extra, event.Nested.Deep = map[string]any{"z": []any{1.5, nil, "x"}, "a": map[string]any{}}, 1
		}
		one, err := v1.Encode(event)
		require.NoError(t, err)
		other, err := v2.Encode(event)
		require.NoError(t, err)
		require.Equal(t, string(one.Data), string(other.Data))
		byV1, err := decode(v1, "kitchen", 1, one.Data)
		require.NoError(t, err)
		byV2, err := decode(v2, "kitchen", 1, one.Data)
		require.NoError(t, err)
		require.Equal(t, byV1, byV2)
	})
}

// exact has numbers that keep their digits, in every place where one can be.
type exact struct {
	Plain, Empty json.Number
	Left         json.Number  `json:",omitempty"`
	Quoted       json.Number  `json:",string"`
	Maybe        *json.Number `json:",string"`
	Many         []json.Number
	By           map[json.Number]json.Number
	Nested       struct{ Deep [1]json.Number }
	Any          any
}

func TestBothFormatsStoreTheSameNumbers(t *testing.T) {
	v1, err := codec.NewSet(codec.Event[exact]("exact"), codec.Event[anything]("anything"))
	require.NoError(t, err)
	v2, err := codec.NewSet(codec.Event[exact]("exact", codec.In(jsonv2.Format{})), codec.Event[anything]("anything", codec.In(jsonv2.Format{})))
	require.NoError(t, err)
	seven := json.Number("7.00")
	full := exact{Plain: "12345678901234567890.10", Quoted: "-0e+7", Maybe: &seven, Many: []json.Number{"1", "1E2"}, By: map[json.Number]json.Number{"x": "1"}}
	full.Nested.Deep[0] = "3"
	for _, event := range []any{exact{Quoted: "0"}, full, exact{Any: []any{seven, map[string]any{"a": seven}}}, anything{"a": seven}} {
		one, err := v1.Encode(event)
		require.NoError(t, err)
		other, err := v2.Encode(event)
		require.NoError(t, err)
		require.Equal(t, string(one.Data), string(other.Data))
		byV1, err := decode(v1, one.Type, 1, one.Data)
		require.NoError(t, err)
		byV2, err := decode(v2, one.Type, 1, one.Data)
		require.NoError(t, err)
		require.Equal(t, byV1, byV2)
	}
	for _, payload := range []string{
		`{"Plain":"7"}`, `{"Plain":" 7"}`, `{"Plain":""}`, `{"Plain":"x"}`, `{"Plain":true}`, `{"Plain":[]}`, `{"Plain":null,"Quoted":null,"Maybe":null}`,
		`{"Quoted":7}`, `{"Quoted":"7"}`, `{"Quoted":"x"}`, `{"By":{"1":2}}`,
	} {
		byV1, errV1 := decode(v1, "exact", 1, []byte(payload))
		byV2, errV2 := decode(v2, "exact", 1, []byte(payload))
		assert.Equal(t, errV1 == nil, errV2 == nil, "%s: %v, %v", payload, errV1, errV2)
		assert.Equal(t, byV1, byV2, payload)
	}
	for _, wrong := range []json.Number{"x", " 1", "1 2", "true", `"1"`} {
		_, err := v1.Encode(exact{Plain: wrong})
		require.Error(t, err, wrong)
		_, err = v2.Encode(exact{Plain: wrong})
		require.Error(t, err, wrong)
	}
}

type anything map[string]any

// The golden payloads of package codec, which past builds wrote, and an old shape among them.
func TestGoldenPayloadsDecodeEqually(t *testing.T) {
	type (
		placedV1 struct {
			Customer string `json:"customer"`
			Total    string `json:"total"`
		}
		placedV2 struct {
			Customer string `json:"customer"`
			Cents    int64  `json:"cents"`
		}
		placed struct {
			CustomerID string `json:"customer_id"`
			Cents      int64  `json:"cents"`
			Currency   string `json:"currency"`
		}
	)
	options := []codec.Option{
		codec.Version(3),
		codec.Upcast(1, func(old placedV1) (placedV2, error) {
			var euros, cents int64
			_, err := fmt.Sscanf(old.Total, "%d.%d", &euros, &cents)
			return placedV2{old.Customer, 100*euros + cents}, err
		}),
		codec.Upcast(2, func(old placedV2) (placed, error) { return placed{old.Customer, old.Cents, "EUR"}, nil }),
	}
	v1, err := codec.NewSet(codec.Event[placed]("order.placed", options...))
	require.NoError(t, err)
	v2, err := codec.NewSet(codec.Event[placed]("order.placed", append(options, codec.In(jsonv2.Format{}))...))
	require.NoError(t, err)
	for version := 1; version <= 3; version++ {
		payload, err := os.ReadFile(filepath.Join("..", "testdata", fmt.Sprintf("order.placed.v%d.json", version)))
		require.NoError(t, err)
		byV1, err := decode(v1, "order.placed", version, payload)
		require.NoError(t, err)
		byV2, err := decode(v2, "order.placed", version, payload)
		require.NoError(t, err)
		assert.Equal(t, byV1, byV2)
		assert.Equal(t, []any{placed{"17850", 1250, "EUR"}}, byV2)
	}
}

// Where the formats differ, as the package comment says.
func TestWhereEncodingJSONGuesses(t *testing.T) {
	v1, v2 := sets(t)
	for name, c := range map[string]struct {
		payload, guessed, text, failure string
	}{
		"a name in another case":  {payload: `{"TEXT":"x"}`, guessed: "x", text: ""},
		"the same name twice":     {payload: `{"text":"a","text":"b"}`, guessed: "b", failure: "duplicate"},
		"text that is not UTF-8":  {payload: "{\"text\":\"\xff\"}", guessed: "\ufffd", failure: "invalid UTF-8"},
		"a field nobody knows":    {payload: `{"text":"x","new":1}`, guessed: "x", text: "x"},
		"null for no value":       {payload: `{"text":null,"names":null}`},
		"base64 with line breaks": {payload: `{"text":"x","bytes":"AA\n=="}`, guessed: "x", text: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := decode(v1, "kitchen", 1, []byte(c.payload))
			require.NoError(t, err)
			assert.Equal(t, c.guessed, events[0].(kitchen).Text)

			events, err = decode(v2, "kitchen", 1, []byte(c.payload))
			if c.failure != "" {
				var failure *codec.DecodeError
				require.ErrorAs(t, err, &failure)
				require.ErrorContains(t, err, c.failure)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.text, events[0].(kitchen).Text)
		})
	}
	_, err := v1.Encode(kitchen{Text: "\xff"})
	require.NoError(t, err)
	_, err = v2.Encode(kitchen{Text: "\xff"})
	require.ErrorContains(t, err, "invalid UTF-8")
}

// Two sets may share an event only if both store it in the same format.
func TestMergeTellsFormatsApart(t *testing.T) {
	v1, v2 := sets(t)
	_, err := codec.Merge(v1, v2)
	require.ErrorContains(t, err, "defined twice")
	_, again := sets(t)
	_, err = codec.Merge(v2, again)
	require.NoError(t, err)
}

func TestDecodedValuesDoNotShareThePayload(t *testing.T) {
	_, v2 := sets(t)
	payload := []byte(`{"text":"abcdef","bytes":"AQID","names":["abcdef"],"extra":{"abcdef":"abcdef"}}`)
	events, err := decode(v2, "kitchen", 1, payload)
	require.NoError(t, err)
	clear(payload)
	got := events[0].(kitchen)
	require.Equal(t, "abcdef", got.Text)
	require.Equal(t, []string{"abcdef"}, got.Names)
	require.Equal(t, map[string]any{"abcdef": "abcdef"}, got.Extra)
}

// Whatever this format reads from a payload, encoding/json reads from what it writes of that.
func FuzzDecodedPayloadsAreTheSameForEncodingJSON(f *testing.F) {
	f.Add([]byte(`{"text":"x","count":1,"hash":[1,2,3,4],"took":5,"extra":{"a":[1,null]}}`))
	f.Add([]byte(`{"Text":"x","quoted":"1","by_number":{"9":"y"}}`))
	f.Add([]byte(nil))
	v1, v2 := sets(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		events, err := decode(v2, "kitchen", 1, payload)
		if err != nil {
			return
		}
		written, err := v2.Encode(events[0])
		require.NoError(t, err)
		byV1, err := decode(v1, "kitchen", 1, written.Data)
		require.NoError(t, err)
		byV2, err := decode(v2, "kitchen", 1, written.Data)
		require.NoError(t, err)
		require.Equal(t, byV1, byV2)
	})
}

func BenchmarkDecode(b *testing.B) {
	type ordered struct {
		Ref      int64    `json:"ref"`
		OrderID  string   `json:"order_id"`
		Customer string   `json:"customer"`
		Email    string   `json:"email"`
		Amount   int      `json:"amount"`
		Currency string   `json:"currency"`
		Items    []string `json:"items"`
		Note     string   `json:"note"`
	}
	payload := []byte(`{"ref":1000000000000000,"order_id":"o-2026-000815","customer":"ada.lovelace","email":"ada@example.com","amount":12999,"currency":"EUR","items":["lamp-17","desk-4","chair-23"],"note":"leave it at the door"}`)
	for name, options := range map[string][]codec.Option{"encodingjson": nil, "jsonv2": {codec.In(jsonv2.Format{})}} {
		set, err := codec.NewSet(codec.Event[ordered]("ordered", options...))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = decode(set, "ordered", 1, payload)
			}
		})
	}
}
