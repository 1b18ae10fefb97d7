package projection

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type nested struct {
	Name  string            `json:"name"`
	Sizes []int             `json:"sizes"`
	Notes map[string]string `json:"notes"`
	At    time.Time         `json:"at"`
}

type (
	colour string
	celsi  float32
)

// everyField has a column of every kind, of the odd Go types too.
type everyField struct {
	Key        string `leftfold:"key"`
	Bool       bool
	Int        int
	Int8       int8
	Int16      int16
	Int32      int32
	Int64      int64
	Uint       uint
	Uint8      uint8
	Uint16     uint16
	Uint32     uint32
	Uint64     uint64
	Float32    float32
	Float64    float64
	Celsius    celsi
	Text       string
	Colour     colour
	Bytes      []byte
	Time       time.Time
	Nested     nested
	List       []nested
	Any        any
	MaybeBool  *bool
	MaybeInt   *int64
	MaybeUint  *uint8
	MaybeFloat *float64
	MaybeText  *string
	MaybeBytes *[]byte
	MaybeTime  *time.Time
	MaybeNest  *nested
	Twice      **int
	Renamed    int `leftfold:"other_name"`
	Left       int `leftfold:"-"`
	hidden     int
}

func textGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.ReplaceAll(rapid.String().Draw(t, "text"), "\x00", "")
	})
}

func timeGen() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		seconds := rapid.Int64Range(-62135500000, 253402200000).Draw(t, "seconds") // years 1 to 9999
		zone := time.FixedZone("somewhere", rapid.IntRange(-12*3600, 14*3600).Draw(t, "zone"))
		return time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
	})
}

func nestedGen() *rapid.Generator[nested] {
	return rapid.Custom(func(t *rapid.T) nested {
		return nested{
			Name:  textGen().Draw(t, "name"),
			Sizes: rapid.SliceOfN(rapid.Int(), 0, 3).Draw(t, "sizes"),
			Notes: rapid.MapOfN(textGen(), textGen(), 0, 3).Draw(t, "notes"),
			At:    timeGen().Draw(t, "at").UTC(),
		}
	})
}

func everyFieldGen() *rapid.Generator[everyField] {
	return rapid.Custom(func(t *rapid.T) everyField {
		twice := rapid.Ptr(rapid.Int(), false).Draw(t, "once")
		return everyField{
			Key: textGen().Draw(t, "key"), Bool: rapid.Bool().Draw(t, "bool"),
			Int: rapid.Int().Draw(t, "int"), Int8: rapid.Int8().Draw(t, "int8"), Int16: rapid.Int16().Draw(t, "int16"),
			Int32: rapid.Int32().Draw(t, "int32"), Int64: rapid.Int64().Draw(t, "int64"),
			Uint: uint(rapid.Uint64Max(math.MaxInt64).Draw(t, "uint")), Uint8: rapid.Uint8().Draw(t, "uint8"), Uint16: rapid.Uint16().Draw(t, "uint16"),
			Uint32: rapid.Uint32().Draw(t, "uint32"), Uint64: rapid.Uint64Max(math.MaxInt64).Draw(t, "uint64"),
			Float32: rapid.Float32().Draw(t, "float32"), Float64: rapid.Float64().Draw(t, "float64"), Celsius: celsi(rapid.Float32().Draw(t, "celsius")),
			Text: textGen().Draw(t, "text"), Colour: colour(textGen().Draw(t, "colour")),
			Bytes: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), Time: timeGen().Draw(t, "time"),
			Nested: nestedGen().Draw(t, "nested"), List: rapid.SliceOfN(nestedGen(), 0, 2).Draw(t, "list"), Any: textGen().Draw(t, "any"),
			MaybeBool: rapid.Ptr(rapid.Bool(), true).Draw(t, "maybe bool"), MaybeInt: rapid.Ptr(rapid.Int64(), true).Draw(t, "maybe int"),
			MaybeUint: rapid.Ptr(rapid.Uint8(), true).Draw(t, "maybe uint"), MaybeFloat: rapid.Ptr(rapid.Float64(), true).Draw(t, "maybe float"),
			MaybeText: rapid.Ptr(textGen(), true).Draw(t, "maybe text"), MaybeBytes: rapid.Ptr(rapid.SliceOf(rapid.Byte()), true).Draw(t, "maybe bytes"),
			MaybeTime: rapid.Ptr(timeGen(), true).Draw(t, "maybe time"), MaybeNest: rapid.Ptr(nestedGen(), true).Draw(t, "maybe nested"),
			Twice: &twice, Renamed: rapid.Int().Draw(t, "renamed"), Left: 7, hidden: 7,
		}
	})
}

func mappingOf[R any](t testing.TB) *mapping {
	t.Helper()
	m, err := newMapping(reflect.TypeFor[R]())
	require.NoError(t, err)
	return m
}

func TestAStoredRowComesBackAsItSettled(t *testing.T) {
	m := mappingOf[everyField](t)
	rapid.Check(t, func(t *rapid.T) {
		row := everyFieldGen().Draw(t, "row")
		encoded, err := m.encode(row.Key, reflect.ValueOf(row))
		require.NoError(t, err)
		require.Len(t, encoded.Values, len(m.columns))
		for n, value := range encoded.Values {
			if value == nil {
				require.True(t, m.columns[n].Nullable)
			} else {
				require.True(t, m.columns[n].Kind.holds(value), "column %v holds a %T", m.columns[n], value)
			}
		}
		var back everyField
		require.NoError(t, m.decode(encoded, reflect.ValueOf(&back).Elem()))

		m.settle(reflect.ValueOf(&row).Elem())
		row.Left, row.hidden = 0, 0 // they are not stored
		require.Equal(t, row, back)

		again, err := m.encode(back.Key, reflect.ValueOf(back))
		require.NoError(t, err)
		require.Equal(t, encoded, again, "storing it again changes nothing")
	})
}

func TestTheKindsAndNamesOfColumns(t *testing.T) {
	m := mappingOf[everyField](t)
	got := map[string]string{}
	for _, c := range m.columns {
		got[c.Name] = string(c.Kind)
		if c.Nullable {
			got[c.Name] += "?"
		}
	}
	assert.Equal(t, map[string]string{
		"bool": "bool", "int": "int", "int8": "int", "int16": "int", "int32": "int", "int64": "int",
		"uint": "int", "uint8": "int", "uint16": "int", "uint32": "int", "uint64": "int",
		"float32": "float", "float64": "float", "celsius": "float", "text": "text", "colour": "text",
		"bytes": "bytes", "time": "time", "nested": "json", "list": "json", "any": "json",
		"maybe_bool": "bool?", "maybe_int": "int?", "maybe_uint": "int?", "maybe_float": "float?", "maybe_text": "text?",
		"maybe_bytes": "bytes?", "maybe_time": "time?", "maybe_nest": "json?", "twice": "json?", "other_name": "int",
	}, got)
}

func TestTimesAreStoredInUTCWithMicroseconds(t *testing.T) {
	type row struct{ At time.Time }
	m := mappingOf[row](t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 123_456_789, time.FixedZone("CET", 3600))
	encoded, err := m.encode("k", reflect.ValueOf(row{at}))
	require.NoError(t, err)
	assert.Equal(t, time.Date(2026, 1, 2, 2, 4, 5, 123_456_000, time.UTC), encoded.Values[0])
}

func TestNilAndEmptyBytesAreOne(t *testing.T) {
	type row struct{ Data []byte }
	m := mappingOf[row](t)
	for _, data := range [][]byte{nil, {}} {
		encoded, err := m.encode("k", reflect.ValueOf(row{data}))
		require.NoError(t, err)
		assert.Equal(t, []byte{}, encoded.Values[0], "nil would be NULL")
		var back row
		require.NoError(t, m.decode(encoded, reflect.ValueOf(&back).Elem()))
		assert.Nil(t, back.Data)
	}
}

func TestAStoredRowSharesNoBytes(t *testing.T) {
	type row struct{ Data []byte }
	m := mappingOf[row](t)
	source := row{[]byte("abc")}
	encoded, err := m.encode("k", reflect.ValueOf(source))
	require.NoError(t, err)
	var back row
	require.NoError(t, m.decode(encoded, reflect.ValueOf(&back).Elem()))
	source.Data[0], back.Data[0] = 'x', 'y'
	assert.Equal(t, []byte("abc"), encoded.Values[0])
}

// A big.Int has its MarshalJSON on the pointer; without it all that is left is {}.
func TestANestedValueIsWrittenByTheMarshalJSONOfItsPointer(t *testing.T) {
	type row struct {
		Sum   big.Int
		Maybe *big.Int
	}
	m := mappingOf[row](t)
	source := row{Maybe: big.NewInt(8)}
	source.Sum.SetInt64(7)
	encoded, err := m.encode("k", reflect.ValueOf(&source).Elem())
	require.NoError(t, err)
	assert.Equal(t, []any{"7", "8"}, encoded.Values)
	var back row
	require.NoError(t, m.decode(encoded, reflect.ValueOf(&back).Elem()))
	assert.Equal(t, source, back)
}

type moody struct{ N int }

func (moody) MarshalJSON() ([]byte, error) { panic("bad mood") }

func (*moody) UnmarshalJSON([]byte) error { panic("bad mood") }

func TestAValueThatCannotBeStoredIsNamedByColumnAndRow(t *testing.T) {
	type row struct {
		Total  uint64
		Small  *uint
		Mean   float64
		Name   string
		At     time.Time
		Nested any
		Moody  *moody
	}
	m := mappingOf[row](t)
	big, nan := uint(math.MaxUint64), math.NaN()
	for says, r := range map[string]row{
		`column total of row "k": 9223372036854775808 does not fit into 63 bits`:  {Total: 1 << 63},
		`column small of row "k": 18446744073709551615 does not fit into 63 bits`: {Small: &big},
		`column mean of row "k": not a number (NaN)`:                              {Mean: nan},
		`column name of row "k": text holds a NUL character`:                      {Name: "a\x00b"},
		`column name of row "k": text is not valid UTF-8`:                         {Name: "a\xff"},
		`column at of row "k": the time 10000-01-01 00:00:00 +0000 UTC lies`:      {At: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
		`column nested of row "k": json: unsupported type: chan int`:              {Nested: make(chan int)},
		`column nested of row "k": text is not valid UTF-8`:                       {Nested: json.RawMessage("\"\xff\"")},
		`column moody of row "k": panic: bad mood`:                                {Moody: &moody{}},
	} {
		_, err := m.encode("k", reflect.ValueOf(r))
		assert.ErrorContains(t, err, says)
	}
	for says, key := range map[string]string{"key \"a\\x00\": text holds a NUL": "a\x00", "key \"\\xff\": text is not valid": "\xff"} {
		_, err := m.encode(key, reflect.ValueOf(row{}))
		assert.ErrorContains(t, err, says)
	}
}

func TestASinkThatReturnsSomethingElseIsAnError(t *testing.T) {
	type row struct {
		Small uint8
		Name  string
		Tiny  int8
		Moody *moody
	}
	m := mappingOf[row](t)
	for says, values := range map[string][]any{
		`row "k": the sink returned 1 values for 4 columns`:                          {int64(1)},
		`column small of row "k": the sink returned a string for kind int`:           {"1", "", int64(0), nil},
		`column name of row "k": the sink returned a int64 for kind text`:            {int64(1), int64(1), int64(0), nil},
		`column small of row "k": 256 does not fit into uint8`:                       {int64(256), "", int64(0), nil},
		`column small of row "k": -1 does not fit into uint8`:                        {int64(-1), "", int64(0), nil},
		`column tiny of row "k": 128 does not fit into int8`:                         {int64(0), "", int64(128), nil},
		`column tiny of row "k": the sink returned a int for kind int`:               {int64(0), "", 1, nil},
		`column moody of row "k": invalid character '}' looking for beginning of va`: {int64(0), "", int64(1), "}"},
		`column moody of row "k": panic: bad mood`:                                   {int64(0), "", int64(1), "{}"},
	} {
		var back row
		err := m.decode(Row{Key: "k", Values: values}, reflect.ValueOf(&back).Elem())
		assert.ErrorContains(t, err, says)
	}
}

func TestNamesOfColumnsAreInSnakeCase(t *testing.T) {
	for field, column := range map[string]string{
		"ID": "id", "GrossPence": "gross_pence", "CustomerID": "customer_id", "HTTPStatus": "http_status",
		"A": "a", "AB": "ab", "Already_Snake": "already_snake", "Sha256Sum": "sha256_sum", "Int8": "int8",
		"URLOfX": "url_of_x", "X1Y2": "x1_y2", "PublicAPIv2": "public_ap_iv2",
	} {
		assert.Equal(t, column, snakeCase(field), field)
	}
}
