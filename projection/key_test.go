package projection_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/projection"
)

// partGen draws parts full of the bytes that mean something to Key. NUL is in no key.
func partGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		runes := rapid.SliceOfN(rapid.SampledFrom([]rune("\x01\x02\x03ab~é👋")), 0, 6).Draw(t, "part")
		return string(runes)
	})
}

func TestAKeyComesApartAsItWasJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(partGen(), 1, 4).Draw(t, "parts")
		require.Equal(t, parts, projection.SplitKey(projection.Key(parts...)))
	})
}

func TestKeysSortAsTheirPartsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(partGen(), 1, 4).Draw(t, "a")
		b := rapid.SliceOfN(partGen(), 1, 4).Draw(t, "b")
		require.Equal(t, slices.Compare(a, b), strings.Compare(projection.Key(a...), projection.Key(b...)),
			"and only the same parts give the same key")
	})
}

func TestAPlainPartIsItsOwnKey(t *testing.T) {
	assert.Equal(t, "order-42", projection.Key("order-42"))
	assert.Equal(t, []string{"order-42"}, projection.SplitKey("order-42"))
	assert.Equal(t, []string{"2026-01-31", "GB"}, projection.SplitKey(projection.Key("2026-01-31", "GB")))
}

func FuzzSplitKey(f *testing.F) {
	f.Add("a\x01b\x02")
	f.Fuzz(func(t *testing.T, key string) {
		parts := projection.SplitKey(key) // of any text, without a panic
		if !slices.Equal(parts, projection.SplitKey(projection.Key(parts...))) {
			t.Fatalf("%q", parts)
		}
	})
}
