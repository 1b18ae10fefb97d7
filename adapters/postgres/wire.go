package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Parameters and rows travel in Postgres's binary format, written and read by hand: a batch
// is many arrays, and a replay is a million rows; reflection over them would cost more than
// all the rest of our work.
// https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES

// OIDs of built-in types; they are the same in every cluster.
const (
	oidBool  = 16
	oidBytea = 17
	oidInt8  = 20
	oidInt2  = 21
	oidInt4  = 23
	oidText  = 25
	oidJSON  = 114
	oidFloat = 701
	oidTime  = 1184
	oidUUID  = 2950
)

// encoder appends values, each after its length, as arrays have them.
type encoder struct{ b []byte }

func (e *encoder) int32(v int) {
	e.b = binary.BigEndian.AppendUint32(e.b, uint32(v))
}
func (e *encoder) null()         { e.b = binary.BigEndian.AppendUint32(e.b, math.MaxUint32) }
func (e *encoder) raw(v []byte)  { e.int32(len(v)); e.b = append(e.b, v...) }
func (e *encoder) text(v string) { e.int32(len(v)); e.b = append(e.b, v...) }
func (e *encoder) int4(v int)    { e.int32(4); e.int32(v) }
func (e *encoder) int2(v int) {
	e.int32(2)
	e.b = binary.BigEndian.AppendUint16(e.b, uint16(v))
}
func (e *encoder) int8(v int64) {
	e.int32(8)
	e.b = binary.BigEndian.AppendUint64(e.b, uint64(v))
}
func (e *encoder) bool(v bool) {
	e.int32(1)
	e.b = append(e.b, boolean(v)...)
}

// array starts an array of one dimension without NULLs.
func (e *encoder) array(element uint32, length int) { e.arrayHead(element, length, false) }

func (e *encoder) arrayHead(element uint32, length int, nulls bool) {
	e.int32(1) // dimensions
	if nulls {
		e.int32(1)
	} else {
		e.int32(0)
	}
	e.int32(int(element))
	e.int32(length)
	e.int32(1) // the index of the first
}

// setLength tells the length of an array, which is all that was appended.
func (e *encoder) setLength(length int) { binary.BigEndian.PutUint32(e.b[12:], uint32(length)) }

// end fills in the length of a value that was started with a length of 0.
func (e *encoder) end(start int) {
	binary.BigEndian.PutUint32(e.b[start:], uint32(len(e.b)-start-4))
}

// emptyArray has no dimension.
func emptyArray(element uint32) []byte {
	var e encoder
	e.int32(0)
	e.int32(0)
	e.int32(int(element))
	return e.b
}

// Parameters of their own.

func bigint(v int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(v))
}

func int4(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// timestamp returns the microseconds of a time, NULL for the zero time.
func timestamp(t time.Time) []byte {
	if t.IsZero() {
		return nil
	}
	return bigint(t.UnixMicro() - epoch)
}

func int2(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// notNull returns a value that the driver does not take for NULL.
func notNull(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}

// noneIsNull returns no bytes as NULL.
func noneIsNull(v []byte) []byte {
	if len(v) == 0 {
		return nil
	}
	return v
}

func position(p eventstore.Position) []byte { return bigint(int64(p)) }

func boolean(v bool) []byte {
	if v {
		return []byte{1}
	}
	return []byte{0}
}

// texts returns an array of text; NULL if there is none.
func texts[S ~string](values []S) []byte {
	if len(values) == 0 {
		return nil
	}
	var e encoder
	e.array(oidText, len(values))
	for _, v := range values {
		e.text(string(v))
	}
	return e.b
}

func bigints[N ~int64](values []N) []byte {
	var e encoder
	e.array(oidInt8, len(values))
	for _, v := range values {
		e.int8(int64(v))
	}
	return e.b
}

// Columns. A column of another length than its type has is a bug of ours or of the server;
// these functions panic on it, and session.rows turns that into an error.

func readInt8(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }
func readInt4(b []byte) int32 { return int32(binary.BigEndian.Uint32(b)) }
func readInt2(b []byte) int16 { return int16(binary.BigEndian.Uint16(b)) }

// Postgres counts microseconds from the year 2000.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func readTime(b []byte) time.Time { return time.UnixMicro(epoch + readInt8(b)).UTC() }

// readInts reads an array of bigint or integer without NULLs; nil for NULL.
func readInts(b []byte) ([]int64, error) {
	if len(b) < 12 { // NULL, or no dimension: empty
		return nil, nil
	}
	if dimensions, null := readInt4(b), readInt4(b[4:]); dimensions != 1 || null != 0 {
		return nil, fmt.Errorf("read an array: %d dimensions, NULLs %d", dimensions, null)
	}
	length := readInt4(b[12:])
	b = b[20:]
	if length < 0 || int(length) > len(b)/8 { // 4 bytes of length and 4 of value at least; memory is made for no more
		return nil, fmt.Errorf("read an array: %d elements in %d bytes", length, len(b))
	}
	values := make([]int64, length)
	for n := range values {
		switch length := readInt4(b); length {
		case 4:
			values[n] = int64(readInt4(b[4:]))
		case 8:
			values[n] = readInt8(b[4:])
		default:
			return nil, fmt.Errorf("read an array: an element of %d bytes", length)
		}
		b = b[4+readInt4(b):]
	}
	return values, nil
}
