package redisstore

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/projection"
)

var allKinds = projection.Model{
	Generation: projection.Generation{Name: "all_kinds", Version: 1},
	Columns: []projection.Column{
		{Name: "flag", Kind: projection.Bool}, {Name: "number", Kind: projection.Int}, {Name: "share", Kind: projection.Float},
		{Name: "name", Kind: projection.Text}, {Name: "raw", Kind: projection.Bytes}, {Name: "at", Kind: projection.Time},
		{Name: "nested", Kind: projection.JSON}, {Name: "maybe", Kind: projection.Int, Nullable: true},
	},
	Indexes: []string{"name", "number"},
}

func packed(t require.TestingT, row projection.Row) string {
	value, _, err := newPacker(allKinds).row(row)
	require.NoError(t, err)
	return string(value)
}

// What is stored is read by programs of later versions: these bytes do not change.
func TestTheFormatIsFrozen(t *testing.T) {
	value := packed(t, projection.Row{Key: "k", Values: []any{
		true, int64(-2), 0.5, "ä\x00b", []byte{0xff}, time.UnixMicro(1).UTC(), "{}", int64(math.MaxInt64),
	}})
	require.Equal(t, ""+
		"92"+ // places: two
		"a8"+"01"+"c3a4"+"00ff"+"62"+"0001"+ // index 1: ä, 0, b
		"a9"+"02"+"7ffffffffffffffe"+ // index 2: -2
		"98"+ // columns: eight
		"c3"+"d2fffffffe"+"cb3fe0000000000000"+"a4c3a40062"+"c401ff"+"01"+"a27b7d"+"d37fffffffffffffff",
		hex.EncodeToString([]byte(value)))

	k := (&Sink{prefix: "leftfold"}).keysOf(projection.Generation{Name: "orders", Version: 2})
	require.Equal(t, []string{"leftfold:{orders}:2:meta", "leftfold:{orders}:2:rows", "leftfold:{orders}:2:order", "leftfold:{orders}:generations"}, k.all())
}

var rows = rapid.Custom(func(t *rapid.T) projection.Row {
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.IntRange(0, 70_000), func(n int) string { return strings.Repeat("x", n) }))
	row := projection.Row{Key: "k", Values: []any{
		rapid.Bool().Draw(t, "flag"),
		rapid.OneOf(rapid.Int64(), rapid.Int64Range(-200, 200)).Draw(t, "number"),
		rapid.Float64().Draw(t, "share"),
		text.Draw(t, "name"),
		append([]byte{}, text.Draw(t, "raw")...),
		times.Draw(t, "at"),
		text.Draw(t, "nested"),
		nil,
	}}
	if rapid.Bool().Draw(t, "is there") {
		row.Values[7] = rapid.Int64().Draw(t, "maybe")
	}
	return row
})

func TestARowComesBackAsItWasPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := rows.Draw(t, "row")
		got, err := unpack(allKinds, "k", packed(t, row))
		require.NoError(t, err)
		require.Equal(t, row, got)
	})
}

func TestWhatIsNoRowIsAnErrorAndNotAGuess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := packed(t, rows.Draw(t, "row"))
		cut := rapid.IntRange(0, len(value)-1).Draw(t, "cut")
		_, err := unpack(allKinds, "k", value[:cut])
		require.Error(t, err)
		_, err = unpack(allKinds, "k", value+"\x01")
		require.Error(t, err)
		changed := []byte(value)
		changed[cut] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		_, _ = unpack(allKinds, "k", string(changed)) // may be another row, and does not panic
	})
	other := allKinds
	other.Columns = append(other.Columns[:3:3], projection.Column{Name: "name", Kind: projection.Int})
	_, err := unpack(other, "k", packed(t, rows.Example()))
	require.ErrorContains(t, err, "8 columns, not 4")
	other.Columns = append(append(other.Columns[:3:3], projection.Column{Name: "name", Kind: projection.Int}), allKinds.Columns[4:]...)
	_, err = unpack(other, "k", packed(t, rows.Example()))
	require.ErrorContains(t, err, "another definition")
}
