package codec_test

import (
	"encoding/json"
	"testing"

	"github.com/leftfold/leftfold/eventstore/codec"
)

// What the codec costs beyond the JSON: compare with BenchmarkJSON.

func BenchmarkEncode(b *testing.B) {
	set := mustSet(b, codec.Event[deposited]("account.deposited"))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = set.Encode(deposited{Cents: 5, Note: "rent"})
	}
}

func BenchmarkDecode(b *testing.B) {
	set := mustSet(b, codec.Event[deposited]("account.deposited"))
	data, _ := set.Encode(deposited{Cents: 5, Note: "rent"})
	r := recorded(data)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = set.Decode(r)
	}
}

func BenchmarkJSON(b *testing.B) {
	b.Run("Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(any(deposited{Cents: 5, Note: "rent"}))
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		data, _ := json.Marshal(deposited{Cents: 5, Note: "rent"})
		b.ReportAllocs()
		for b.Loop() {
			var d deposited
			_ = json.Unmarshal(data, &d)
		}
	})
}
