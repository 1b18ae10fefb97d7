package httpapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	ours "github.com/leftfold/leftfold/internal/jsonschema"
	"github.com/leftfold/leftfold/internal/jsonschema/jsonschematest"
)

// What the document's schema of a body refuses, the handler refuses.
func TestABodyThatTheSchemaRefusesIsRefused(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
		goType := jsonschematest.Type(draw, 2)
		for !isDecodable(goType) { // no service starts with such a command
			goType = jsonschematest.Type(draw, 2)
		}
		body, err := json.Marshal(jsonschematest.Value(draw, goType).Interface())
		require.NoError(t, err)
		_, err = decode(body, goType)
		require.NoError(t, err, "%s is written for a %s", body, goType)

		body, err = jsonschematest.Change(draw, body)
		require.NoError(t, err)
		if schema, fits := fitsTaken(t, goType, body); !fits {
			refused++
			_, err := decode(body, goType)
			require.Error(t, err, "%s\nrefuses %s, and a %s does not", schema, body, goType)
		}
	})
	assert.Positive(t, refused)
}

func isDecodable(goType reflect.Type) (ok bool) {
	defer func() { ok = recover() == nil }()
	checkDecodable(goType)
	return
}

// The other cases in which decoders differ from schemas, one by one.
func TestBodiesThatOtherReadersWouldTakeAreRefusedByBoth(t *testing.T) {
	for body, goType := range map[string]reflect.Type{
		`{"Cents":null}`:            reflect.TypeFor[jsonschematest.Inner](),
		`{"cents":1}`:               reflect.TypeFor[jsonschematest.Inner](),
		`{"Cents":1.5}`:             reflect.TypeFor[jsonschematest.Inner](),
		`{"Pair":[true]}`:           reflect.TypeFor[jsonschematest.Nilable](),
		`{"Pair":[true,true,true]}`: reflect.TypeFor[jsonschematest.Nilable](),
		`{"Quoted":1}`:              reflect.TypeFor[jsonschematest.Scalars](),
		`{"ByNumber":{"x":{}}}`:     reflect.TypeFor[jsonschematest.Keys](),
		`{"ID":null}`:               reflect.TypeFor[jsonschematest.Texts](),
		`{"At":null}`:               reflect.TypeFor[jsonschematest.Texts](),
		`null`:                      reflect.TypeFor[jsonschematest.Inner](),
	} {
		_, fits := fitsTaken(t, goType, []byte(body))
		assert.False(t, fits, body)
		_, err := decode([]byte(body), goType)
		assert.Error(t, err, body)
	}
}

func fitsTaken(t require.TestingT, goType reflect.Type, body []byte) (schema []byte, fits bool) {
	set := ours.NewSet("#/$defs/", jsonschematest.Schemas)
	of, err := set.Of(goType, ours.Taken)
	require.NoError(t, err)
	schema, err = json.Marshal(map[string]any{"allOf": []any{of}, "$defs": set.Definitions()})
	require.NoError(t, err)
	parse := func(text []byte) any {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		return value
	}
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("schema.json", parse(schema)))
	compiled, err := compiler.Compile("schema.json")
	require.NoError(t, err)
	return schema, compiled.Validate(parse(body)) == nil
}
