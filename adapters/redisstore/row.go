package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// The value of a row is two MessagePack arrays, one behind the other: its places in the
// order, and its columns. Of a column:
//
//	bool           bool
//	int            int, in the shortest of the forms fixint, int 32, int 64
//	float          float 64
//	text, JSON     str
//	bytes          bin
//	time           as int: µs since 1970
//	NULL           nil
//
// It is a format that Lua and every language can read. MessagePack: github.com/msgpack/msgpack/blob/master/spec.md

// packer packs the rows of a model.
type packer struct {
	model   projection.Model
	indexed []int // the columns of the indexes
	place   []byte
	block   []byte // that values are cut from, many from one
}

func newPacker(model projection.Model) *packer {
	p := &packer{model: model}
	for _, name := range model.Indexes {
		p.indexed = append(p.indexed, model.Column(name))
	}
	return p
}

// row returns the row's value, and how long its places are.
func (p *packer) row(row projection.Row) (value []byte, places int, err error) {
	if len(row.Values) != len(p.model.Columns) {
		return nil, 0, fmt.Errorf("it has %d values for %d columns", len(row.Values), len(p.model.Columns))
	}
	b := p.block
	if cap(b) < 1<<10 {
		b = make([]byte, 0, 64<<10)
	}
	b = appendHeader(b, array, len(p.indexed))
	for n, column := range p.indexed {
		if p.place, err = appendPlace(p.place[:0], n+1, row.Values[column]); err != nil {
			return nil, 0, fmt.Errorf("column %s: %w", p.model.Columns[column].Name, err)
		}
		b = append(appendHeader(b, str, len(p.place)), p.place...)
	}
	places = len(b)
	b = appendHeader(b, array, len(row.Values))
	for n, value := range row.Values {
		if b, err = appendValue(b, value); err != nil {
			return nil, 0, fmt.Errorf("column %s: %w", p.model.Columns[n].Name, err)
		}
	}
	p.block = b[len(b):]
	return slices.Clip(b), places, nil
}

func appendValue(b []byte, value any) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return append(b, 0xc0), nil
	case bool:
		if value {
			return append(b, 0xc3), nil
		}
		return append(b, 0xc2), nil
	case int64:
		return appendInt(b, value), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(value)), nil
	case string:
		return append(appendHeader(b, str, len(value)), value...), nil
	case []byte:
		return append(appendHeader(b, bin, len(value)), value...), nil
	case time.Time:
		return appendInt(b, value.UnixMicro()), nil
	default:
		return nil, fmt.Errorf("a %T is no value of a row", value)
	}
}

func appendInt(b []byte, number int64) []byte {
	switch {
	case number >= 0 && number <= 0x7f:
		return append(b, byte(number))
	case number >= math.MinInt32 && number <= math.MaxInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(number))
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(number))
	}
}

// form is how MessagePack writes the length of something: in the first byte if it is
// small, else in the 1, 2 or 4 bytes behind it. A first byte of 0: there is no such form.
type form struct {
	fix          byte
	below        int // the lengths that fit into the first byte
	b8, b16, b32 byte
}

var (
	array = form{fix: 0x90, below: 16, b16: 0xdc, b32: 0xdd}
	str   = form{fix: 0xa0, below: 32, b8: 0xd9, b16: 0xda, b32: 0xdb}
	bin   = form{b8: 0xc4, b16: 0xc5, b32: 0xc6}
)

func appendHeader(b []byte, f form, length int) []byte {
	switch {
	case length < f.below:
		return append(b, f.fix|byte(length))
	case length <= math.MaxUint8 && f.b8 != 0:
		return append(b, f.b8, byte(length))
	case length <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, f.b16), uint16(length))
	default:
		return binary.BigEndian.AppendUint32(append(b, f.b32), uint32(length))
	}
}

// unpack returns the row in a value.
func unpack(model projection.Model, key, value string) (projection.Row, error) {
	row := projection.Row{Key: key, Values: make([]any, len(model.Columns))}
	u := unpacker{rest: value}
	for range u.length(array) {
		u.take(u.length(str))
	}
	if columns := u.length(array); !u.broken && columns != len(model.Columns) {
		return row, fmt.Errorf("%s: row %q has %d columns, not %d: another definition has written it", model.Generation, key, columns, len(model.Columns))
	}
	for n, column := range model.Columns {
		row.Values[n] = u.value(column)
	}
	if u.broken || u.rest != "" {
		return row, fmt.Errorf("%s: row %q: %w", model.Generation, key, errNotARow)
	}
	return row, nil
}

var errNotARow = errors.New("what is stored is no row of this view: another program or another definition has written it")

// unpacker reads what appendValue writes. After a mistake it is broken and returns zeros.
type unpacker struct {
	rest   string
	broken bool
}

func (u *unpacker) take(length int) string {
	if length < 0 || length > len(u.rest) {
		u.broken, u.rest = true, ""
		return ""
	}
	taken := u.rest[:length]
	u.rest = u.rest[length:]
	return taken
}

func (u *unpacker) byte() byte {
	if b := u.take(1); b != "" {
		return b[0]
	}
	return 0xc1 // which MessagePack never uses
}

func (u *unpacker) uint(bytes int) (number uint64) {
	for _, b := range []byte(u.take(bytes)) {
		number = number<<8 | uint64(b)
	}
	return number
}

func (u *unpacker) length(f form) int {
	switch first := u.byte(); {
	case f.below > 0 && int(first^f.fix) < f.below:
		return int(first ^ f.fix)
	case first == f.b8 && f.b8 != 0:
		return int(u.uint(1))
	case first == f.b16:
		return int(u.uint(2))
	case first == f.b32:
		return int(u.uint(4))
	}
	u.broken = true
	return 0
}

func (u *unpacker) int() int64 {
	switch first := u.byte(); {
	case first <= 0x7f:
		return int64(first)
	case first == 0xd2:
		return int64(int32(u.uint(4)))
	case first == 0xd3:
		return int64(u.uint(8))
	}
	u.broken = true
	return 0
}

func (u *unpacker) value(column projection.Column) any {
	if column.Nullable && u.rest != "" && u.rest[0] == 0xc0 {
		u.take(1)
		return nil
	}
	switch column.Kind {
	case projection.Bool:
		first := u.byte()
		u.broken = u.broken || first&^1 != 0xc2
		return first == 0xc3
	case projection.Int:
		return u.int()
	case projection.Float:
		u.broken = u.byte() != 0xcb || u.broken
		return math.Float64frombits(u.uint(8))
	case projection.Time:
		return time.UnixMicro(u.int()).UTC()
	case projection.Bytes:
		return []byte(u.take(u.length(bin)))
	default: // Text, JSON
		return u.take(u.length(str))
	}
}
