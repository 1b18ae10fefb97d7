package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	ours "github.com/leftfold/leftfold/internal/jsonschema"
)

// leaves are what random types are made of.
var leaves = append([]reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[string](), reflect.TypeFor[int8](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint16](), reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[UUID](), reflect.TypeFor[Money](), reflect.TypeFor[Name](),
}, shapes...)

// anyType draws a type that JSON can hold.
func anyType(t *rapid.T, depth int) reflect.Type {
	leaf := rapid.SampledFrom(leaves).Draw(t, "leaf")
	if depth == 0 {
		return leaf
	}
	switch rapid.SampledFrom([]string{"leaf", "struct", "slice", "array", "map", "pointer"}).Draw(t, "kind") {
	case "struct":
		return anyStruct(t, depth)
	case "slice":
		return reflect.SliceOf(anyType(t, depth-1))
	case "array":
		return reflect.ArrayOf(2, anyType(t, depth-1))
	case "map":
		keys := []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[int16](), reflect.TypeFor[uint8](), reflect.TypeFor[UUID]()}
		return reflect.MapOf(rapid.SampledFrom(keys).Draw(t, "key"), anyType(t, depth-1))
	case "pointer":
		return reflect.PointerTo(anyType(t, depth-1))
	default:
		return leaf
	}
}

func anyStruct(t *rapid.T, depth int) reflect.Type {
	var fields []reflect.StructField
	for n := range rapid.IntRange(0, 4).Draw(t, "fields") {
		names := []string{"", fmt.Sprintf("f%d", n), "same", "-"}
		options := []string{"", ",omitempty", ",omitzero", ",string", ",omitempty,string"}
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", n),
			Type: anyType(t, depth-1),
			Tag: reflect.StructTag(fmt.Sprintf("json:%q",
				rapid.SampledFrom(names).Draw(t, "name")+rapid.SampledFrom(options).Draw(t, "options"))),
		})
	}
	return reflect.StructOf(fields)
}

// fill sets v to a random value. At depth 0 whatever can be nil or empty is.
func fill(t *rapid.T, v reflect.Value, depth int) {
	if fillSpecial(t, v) {
		return
	}
	few := func() int { return rapid.IntRange(0, min(depth, 2)).Draw(t, "length") }
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "text"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int") >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(rapid.Float32().Draw(t, "float")))
	case reflect.Pointer:
		if few() > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth-1)
		}
	case reflect.Slice:
		if n := few(); n > 0 || rapid.Bool().Draw(t, "empty") {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		fallthrough
	case reflect.Array:
		for n := range v.Len() {
			fill(t, v.Index(n), depth-1)
		}
	case reflect.Map:
		if n := few(); n > 0 || rapid.Bool().Draw(t, "empty") {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(t, key, depth-1)
				fill(t, value, depth-1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() {
				fill(t, field, depth)
			}
		}
	}
}

// fillSpecial sets values whose fields do not say what they may hold.
func fillSpecial(t *rapid.T, v reflect.Value) bool {
	switch at := v.Addr().Interface().(type) {
	case *time.Time:
		*at = time.Unix(rapid.Int64Range(0, 1<<36).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
	case *netip.Addr:
		*at = netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "address")})
	case *json.Number:
		*at = json.Number(fmt.Sprint(rapid.Int64().Draw(t, "number")))
	case *json.RawMessage:
		*at = json.RawMessage(rapid.SampledFrom([]string{`null`, `1`, `{"a":[]}`}).Draw(t, "raw"))
	case *Money:
		at.cents = rapid.Int64().Draw(t, "cents")
	case *Told:
		at.n = rapid.Int().Draw(t, "told")
	case *any:
		*at = rapid.SampledFrom([]any{nil, 1.5, "x", []any{true}, map[string]any{"a": nil}}).Draw(t, "any")
	default:
		return false
	}
	return true
}

// What encoding/json writes fits the schema of what is written, and, since it can be read back,
// that of what is taken.
func TestWhatIsWrittenFitsTheSchemas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		goType := anyType(t, 2)
		value := reflect.New(goType).Elem()
		fill(t, value, 3)
		text, err := json.Marshal(value.Interface())
		require.NoError(t, err)
		for _, side := range []ours.Side{ours.Written, ours.Taken} {
			schema := schemaOf(t, side, goType)
			require.NoError(t, fits(t, compile(t, schema), text), "%s\n%s\nis written for a %s", schema, text, goType)
		}
	})
}

func fits(t require.TestingT, schema *jsonschema.Schema, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return schema.Validate(value)
}

// What the schema refuses, a decoder that knows no other fields refuses. encoding/json takes null
// for anything, and arrays of any length; those changes are not made.
func TestWhatTheSchemaRefusesTheDecoderRefuses(t *testing.T) {
	t.Parallel()
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		goType := anyType(t, 2)
		value := reflect.New(goType).Elem()
		fill(t, value, 3)
		text, err := json.Marshal(value.Interface())
		require.NoError(t, err)
		changed := change(t, text)
		schema := schemaOf(t, ours.Taken, goType)
		if fits(t, compile(t, schema), changed) == nil {
			return
		}
		refused++
		decoder := json.NewDecoder(bytes.NewReader(changed))
		decoder.DisallowUnknownFields()
		require.Error(t, decoder.Decode(reflect.New(goType).Interface()), "%s\nrefuses %s, and a %s does not", schema, changed, goType)
	})
	require.Positive(t, refused)
}

// change puts another value somewhere into a text.
func change(t *rapid.T, text []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value))
	changed, err := json.Marshal(changeIn(t, value))
	require.NoError(t, err)
	return changed
}

func changeIn(t *rapid.T, value any) any {
	inside := rapid.Bool().Draw(t, "inside")
	switch v := value.(type) {
	case []any:
		if inside && len(v) > 0 {
			n := rapid.IntRange(0, len(v)-1).Draw(t, "element")
			v[n] = changeIn(t, v[n])
			return v
		}
	case map[string]any:
		if inside && len(v) > 0 {
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "name")
			v[name] = changeIn(t, v[name])
			return v
		}
		if rapid.Bool().Draw(t, "another") {
			v["no such field"] = "text"
			return v
		}
	}
	return rapid.SampledFrom([]any{
		true, "text", "1", json.Number("-1"), json.Number("1.5"), json.Number("128"), json.Number("70000"),
		json.Number("9223372036854775808"), json.Number("18446744073709551616"), []any{true, "text", map[string]any{}}, map[string]any{}, map[string]any{"a": "b"},
	}).Draw(t, "instead")
}
