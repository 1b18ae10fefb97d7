package redisstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// The order of a generation is one sorted set. All scores are 0, so Redis sorts its entries
// as bytes. A row has one entry by its key and one for each index:
//
//	0 key          the byte 0
//	n value key    n counts the indexes from 1, written as a rune in UTF-8
//
// What stands before the key is the entry's place. A value is written so that bytes sort as
// values do:
//
//	bool           one byte, 0 or 1
//	int, time      64 bits, big-endian, with the sign bit flipped; a time in µs since 1970
//	float          64 bits, big-endian; of a negative number all flipped, else the sign bit
//	text, bytes    the bytes, each 0 as 0 255, and at the end 0 1
//
// The end sorts before everything that may follow a value of which it is the beginning.

// appendPlace appends the place of a value in the nth index, from 1.
func appendPlace(b []byte, nth int, value any) ([]byte, error) {
	b = append(b, string(rune(nth))...)
	switch value := value.(type) {
	case bool:
		if value {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case int64:
		return appendSortable(b, value), nil
	case time.Time:
		return appendSortable(b, value.UnixMicro()), nil
	case float64:
		bits := math.Float64bits(value + 0) // -0 + 0 is 0
		if bits>>63 == 1 {
			return binary.BigEndian.AppendUint64(b, ^bits), nil
		}
		return binary.BigEndian.AppendUint64(b, bits|1<<63), nil
	case string:
		return appendEscaped(b, []byte(value)), nil
	case []byte:
		return appendEscaped(b, value), nil
	default:
		return nil, fmt.Errorf("a %T has no order", value)
	}
}

func appendSortable(b []byte, number int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(number)^1<<63)
}

func appendEscaped(b, text []byte) []byte {
	for {
		n := bytes.IndexByte(text, 0)
		if n < 0 {
			return append(append(b, text...), 0, 1)
		}
		b = append(append(b, text[:n]...), 0, 255)
		text = text[n+1:]
	}
}

// listRange is a range of the order for ZRANGE, and where the keys begin in its entries.
type listRange struct {
	start, stop string
	reverse     string
	keyFrom     int
}

func rangeOf(model projection.Model, list projection.ListQuery) (listRange, error) {
	nth, keyFrom := 0, 1+len("\x00")
	if list.By != "" {
		if nth = nthIndex(model, list.By); nth == 0 {
			return listRange{}, fmt.Errorf("%s has no index by %q", model.Generation, list.By)
		}
		keyFrom = keyFromOf(nth, model.Columns[model.Column(list.By)].Kind)
	}
	first, last := "["+string(rune(nth)), "("+string(rune(nth+1))
	if list.After != nil {
		after := []byte("(")
		if nth == 0 {
			after = append(after, 0)
		} else {
			var err error
			if after, err = appendPlace(after, nth, list.After.Value); err != nil {
				return listRange{}, err
			}
		}
		after = append(after, list.After.Key...)
		if list.Descending {
			last = string(after)
		} else {
			first = string(after)
		}
	}
	if list.Descending {
		return listRange{start: last, stop: first, reverse: "REV", keyFrom: keyFrom}, nil
	}
	return listRange{start: first, stop: last, keyFrom: keyFrom}, nil
}

// nthIndex counts from 1; 0 is none.
func nthIndex(model projection.Model, name string) int {
	for n, index := range model.Indexes {
		if index == name {
			return n + 1
		}
	}
	return 0
}

// keyFromOf counts bytes from 1, as Lua does; 0 means behind the end of a text.
func keyFromOf(nth int, kind projection.Kind) int {
	switch kind {
	case projection.Text, projection.Bytes:
		return 0
	case projection.Bool:
		return 1 + len(string(rune(nth))) + 1
	default:
		return 1 + len(string(rune(nth))) + 8
	}
}
