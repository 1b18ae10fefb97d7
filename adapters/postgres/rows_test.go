package postgres

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// FuzzRows: whatever a server sends, reading a row ends in a value or an error. It neither
// panics nor makes memory for what a length only claims.
func FuzzRows(f *testing.F) {
	event := [][]byte{
		bigint(1), []byte("order-1"), bigint(1), make([]byte, 16), []byte("order.placed"), {0, 1}, bigint(0), []byte("a:1\nb:2"), nil, []byte("{}"),
	}
	answered := [][]byte{
		{0, 0, 0, 1}, bigint(7), bigints([]int64{1, -2}), bigints([]int64{1}),
		[]byte(`[{"append":1,"position":7,"hash":"00000000-0000-0000-0000-000000000000","versions":{"order-1":1}}]`),
		[]byte(`[{"append":1,"reason":"matched","position":7}]`),
	}
	f.Add(packed(event...))
	f.Add(packed(answered...))
	f.Add(packed(nil, nil, nil, nil, nil, nil, nil, nil, nil, nil))
	f.Add(packed(bigint(1)[:4], bigint(1), claiming(1<<31-1), claiming(0xffffffff)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		row := unpacked(data)
		var got answer
		allocated := bytesAllocated(func() {
			_ = scanned(newPageScan(resume{rows: pageEvents}).scan, row)
			if scanned(got.scan, row) == nil {
				got.outcomes(eventstore.StoreID{}, []*groupcommit.Pending{groupcommit.NewPending(eventstore.AppendRequest{
					Writes: []eventstore.Write{{Stream: "order-1"}},
				})})
			}
			for _, column := range row {
				_ = scanned(func([][]byte) error { _, err := readInts(column); return err }, nil)
			}
		})
		require.Less(t, allocated, uint64(1<<20+200*len(data)))
	})
}

func TestAnAnswerThatDoesNotFitTheBatchLeavesItUnknown(t *testing.T) {
	appends := []*groupcommit.Pending{groupcommit.NewPending(eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1"}, {Stream: "order-2"}}})}
	short := answer{versions: []int64{1}}
	short.outcomes(eventstore.StoreID{}, appends)
	require.ErrorIs(t, appends[0].Err, eventstore.ErrOutcomeUnknown)
}

// TestMutantALengthThatIsBelievedIsFound: reading an array as a length of 2^24 claims makes
// 128 MiB, and the bound above sees it.
func TestMutantALengthThatIsBelievedIsFound(t *testing.T) {
	believing := func(b []byte) []int64 { return make([]int64, readInt4(b[12:])) }
	var values []int64
	require.Greater(t, bytesAllocated(func() { values = believing(claiming(1 << 24)) }), uint64(1<<20))
	require.Len(t, values, 1<<24)
	require.Less(t, bytesAllocated(func() {
		_, err := readInts(claiming(1<<31 - 1))
		require.ErrorContains(t, err, "2147483647 elements in 0 bytes")
	}), uint64(1<<20))
}

// claiming is the head of an array of so many bigints, and none of them.
func claiming(length uint32) []byte {
	head := bigints([]int64{0})[:20]
	binary.BigEndian.PutUint32(head[12:], length)
	return head
}

func bytesAllocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// packed is a row as the fuzzer changes it: each column behind its length in two bytes, 65535
// for NULL.
func packed(columns ...[]byte) []byte {
	var b bytes.Buffer
	for _, column := range columns {
		length := uint16(len(column))
		if column == nil {
			length = 0xffff
		}
		_ = binary.Write(&b, binary.BigEndian, length) // a buffer takes everything
		b.Write(column)
	}
	return b.Bytes()
}

func unpacked(data []byte) (row [][]byte) {
	for len(data) >= 2 && len(row) < 16 {
		length := binary.BigEndian.Uint16(data)
		data = data[2:]
		if length == 0xffff {
			row = append(row, nil)
			continue
		}
		n := min(int(length), len(data))
		row, data = append(row, data[:n]), data[n:]
	}
	return row
}
