package jsonschematest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// Draw returns a number from 0 to n-1: what a property test or a fuzzer chooses by.
type Draw func(n int) int

func pick[T any](draw Draw, from ...T) T { return from[draw(len(from))] }

// leaves are what random types are made of.
var leaves = append([]reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[string](), reflect.TypeFor[int8](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint16](), reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[UUID](), reflect.TypeFor[Money](), reflect.TypeFor[Name](),
}, Shapes...)

// Type draws a type that JSON can hold.
func Type(draw Draw, depth int) reflect.Type {
	if depth == 0 {
		return pick(draw, leaves...)
	}
	switch draw(6) {
	case 1:
		return structType(draw, depth)
	case 2:
		return reflect.SliceOf(Type(draw, depth-1))
	case 3:
		return reflect.ArrayOf(2, Type(draw, depth-1))
	case 4:
		key := pick(draw, reflect.TypeFor[string](), reflect.TypeFor[int16](), reflect.TypeFor[uint8](), reflect.TypeFor[UUID]())
		return reflect.MapOf(key, Type(draw, depth-1))
	case 5:
		return reflect.PointerTo(Type(draw, depth-1))
	default:
		return pick(draw, leaves...)
	}
}

func structType(draw Draw, depth int) reflect.Type {
	fields := make([]reflect.StructField, draw(5))
	for n := range fields {
		t := Type(draw, depth-1)
		name := pick(draw, "", fmt.Sprintf("f%d", n), "größer "+fmt.Sprint(n), "-")
		options := pick(draw, "", ",omitempty", ",omitzero")
		if t.Kind() <= reflect.Float64 { // for others it has no meaning
			options += pick(draw, "", ",string")
		}
		if name == "-" { // with an option it would be a name
			options = ""
		}
		fields[n] = reflect.StructField{
			Name: fmt.Sprintf("F%d", n), Type: t,
			Tag: reflect.StructTag(`json:"` + name + options + `"`),
		}
	}
	return reflect.StructOf(fields)
}

// Value draws a value of the type.
func Value(draw Draw, t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	fill(draw, v, 3)
	return v
}

// fill sets v. At depth 0 whatever can be nil or empty is.
func fill(draw Draw, v reflect.Value, depth int) {
	if fillSpecial(draw, v) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(draw(2) == 1)
	case reflect.String:
		v.SetString(pick(draw, "", "a", "größer", "<&>", "\x00\n\"", "12"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(number(draw) >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(number(draw)) >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(float32(number(draw))) / 8)
	case reflect.Pointer:
		if depth > 0 && draw(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(draw, v.Elem(), depth-1)
		}
	case reflect.Slice, reflect.Array:
		fillList(draw, v, depth)
	case reflect.Map:
		fillMap(draw, v, depth)
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() {
				fill(draw, field, depth)
			}
		}
	}
}

func number(draw Draw) int64 {
	return pick(draw, 0, 1, -1, -1<<63, 1<<63-1, int64(draw(1<<62)), -int64(draw(1<<62)))
}

// length returns nil for -1.
func length(draw Draw, depth int) int { return draw(min(depth, 2)+2) - 1 }

func fillList(draw Draw, v reflect.Value, depth int) {
	if n := length(draw, max(depth, 0)); v.Kind() == reflect.Slice && n >= 0 {
		v.Set(reflect.MakeSlice(v.Type(), n, n))
	}
	for n := range v.Len() {
		fill(draw, v.Index(n), depth-1)
	}
}

func fillMap(draw Draw, v reflect.Value, depth int) {
	n := length(draw, max(depth, 0))
	if n < 0 {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for range n {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(draw, key, depth-1)
		fill(draw, value, depth-1)
		v.SetMapIndex(key, value)
	}
}

// fillSpecial sets values whose fields do not say what they may hold.
func fillSpecial(draw Draw, v reflect.Value) bool {
	switch at := v.Addr().Interface().(type) {
	case *time.Time:
		*at = time.Unix(int64(draw(1<<36)), int64(draw(1e9))).UTC()
	case *netip.Addr:
		*at = netip.AddrFrom4([4]byte{10, 0, 0, byte(draw(256))})
	case *json.Number:
		*at = json.Number(fmt.Sprint(number(draw)))
	case *json.RawMessage:
		*at = json.RawMessage(pick(draw, `null`, `1`, `{"a":[]}`))
	case *Money:
		at.cents = number(draw)
	case *Told:
		at.n = draw(7)
	case *any:
		*at = pick[any](draw, nil, 1.5, "x", []any{true}, map[string]any{"a": nil})
	default:
		return false
	}
	return true
}

// Change puts another value somewhere into a text in JSON, or a field into one of its objects. It
// makes no null and no list that is only too short or too long.
func Change(draw Draw, text []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(change(draw, value))
}

func change(draw Draw, value any) any {
	inside := draw(3) > 0
	switch v := value.(type) {
	case []any:
		if inside && len(v) > 0 {
			n := draw(len(v))
			v[n] = change(draw, v[n])
			return v
		}
	case map[string]any:
		if inside && len(v) > 0 {
			name := pick(draw, slices.Sorted(maps.Keys(v))...)
			v[name] = change(draw, v[name])
			return v
		}
		if draw(2) == 0 {
			v["no such field"] = "text"
			return v
		}
	}
	return pick[any](draw, true, "text", "1", json.Number("-1"), json.Number("1.5"), json.Number("128"), json.Number("70000"),
		json.Number("9223372036854775808"), json.Number("18446744073709551616"),
		[]any{true, "text", map[string]any{}}, map[string]any{}, map[string]any{"a": "b"})
}
