package redisstore

import (
	"bytes"
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An entry of the order sorts as its value does, then as its key does.
func TestEntriesSortAsValuesDo(t *testing.T) {
	t.Run("bool", sorts(rapid.Bool(), func(a, b bool) int { return bytes.Compare(flag(a), flag(b)) }))
	t.Run("int", sorts(rapid.Int64(), cmp.Compare[int64]))
	t.Run("float", sorts(rapid.Float64(), cmp.Compare[float64]))
	t.Run("time", sorts(times, time.Time.Compare))
	t.Run("text", sorts(rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 2, 'a', 'b', 'ä', 255, 0x10ffff})), strings.Compare))
	t.Run("bytes", sorts(rapid.SliceOf(rapid.SampledFrom([]byte{0, 1, 2, 'a', 254, 255})), bytes.Compare))
}

var times = rapid.Map(rapid.Int64Range(-62135596800000000, 253402300799999999), func(micros int64) time.Time { return time.UnixMicro(micros).UTC() })

func flag(set bool) []byte {
	if set {
		return []byte{1}
	}
	return []byte{0}
}

func sorts[T any](values *rapid.Generator[T], compare func(a, b T) int) func(t *testing.T) {
	keys := rapid.StringOf(rapid.SampledFrom([]rune{1, 2, 'a', 'b', 'ä'}))
	return func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			a, b := values.Draw(t, "a"), values.Draw(t, "b")
			keyA, keyB := keys.Draw(t, "key of a"), keys.Draw(t, "key of b")
			entryA, errA := appendPlace(nil, 1, a)
			entryB, errB := appendPlace(nil, 1, b)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			want := cmp.Or(compare(a, b), strings.Compare(keyA, keyB))
			if got := bytes.Compare(append(entryA, keyA...), append(entryB, keyB...)); got != want {
				t.Fatalf("(%v, %q) against (%v, %q): %d, want %d", a, keyA, b, keyB, got, want)
			}
		})
	}
}

// A lesser index sorts before every entry of a greater one: a range ends where the next begins.
func TestIndexesDoNotMix(t *testing.T) {
	for nth := range 3000 {
		last, err := appendPlace(nil, nth, bytes.Repeat([]byte{255}, 9))
		require.NoError(t, err)
		next, err := appendPlace(nil, nth+1, []byte{})
		require.NoError(t, err)
		require.Negative(t, bytes.Compare(last, []byte(string(rune(nth+1)))))
		require.Positive(t, bytes.Compare(next, []byte(string(rune(nth+1)))))
	}
}
