package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	ours "github.com/leftfold/leftfold/internal/jsonschema"
	"github.com/leftfold/leftfold/internal/jsonschema/jsonschematest"
)

// document is a schema with what it refers to.
type document struct {
	AnyOf       []*ours.Schema   `json:"anyOf"`
	Definitions *ours.Properties `json:"$defs"`
}

func schemaOf(t require.TestingT, side ours.Side, types ...reflect.Type) []byte {
	set := ours.NewSet("#/$defs/", jsonschematest.Schemas)
	var doc document
	for _, goType := range types {
		schema, err := set.Of(goType, side)
		require.NoError(t, err)
		doc.AnyOf = append(doc.AnyOf, schema)
	}
	doc.Definitions = set.Definitions()
	text, err := json.MarshalIndent(doc, "", "  ")
	require.NoError(t, err)
	return append(text, '\n')
}

// compile refuses what is no JSON Schema, and references to nothing.
func compile(t require.TestingT, text []byte) *jsonschema.Schema {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("schema.json", parsed))
	schema, err := compiler.Compile("schema.json")
	require.NoError(t, err, "%s", text)
	return schema
}

func TestTheSchemasOfAllShapesAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	for file, side := range map[string]ours.Side{"written.json": ours.Written, "taken.json": ours.Taken} {
		shapes := append(slices.Clone(jsonschematest.Shapes), reflect.TypeFor[jsonschematest.Legacy]())
		text := schemaOf(t, side, shapes...)
		compile(t, text)
		assert.Equal(t, text, schemaOf(t, side, shapes...), "the same types give the same bytes")
		golden(t, file, text)
	}
}

// golden compares with a file of testdata. After a wanted change:
//
//	LEFTFOLD_WRITE_GOLDEN=1 go test ./internal/jsonschema
func golden(t *testing.T, file string, text []byte) {
	file = filepath.Join("testdata", file)
	if os.Getenv("LEFTFOLD_WRITE_GOLDEN") == "1" {
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text))
}

func TestAFieldThatJSONCannotHoldIsNamed(t *testing.T) {
	t.Parallel()
	type line struct{ Done chan int }
	type bad struct{ Lines []line }
	type keyed struct{ By map[float64]int }
	for want, goType := range map[string]reflect.Type{
		"jsonschema_test.bad.Lines[].Done is a chan int, which JSON cannot hold":    reflect.TypeFor[bad](),
		"jsonschema_test.keyed.By has keys of type float64, which JSON cannot hold": reflect.TypeFor[keyed](),
	} {
		_, err := ours.NewSet("", nil).Of(goType, ours.Written)
		assert.EqualError(t, err, want)
	}
}

func TestNamesThatClashAreToldApart(t *testing.T) {
	t.Parallel()
	set := ours.NewSet("#/", nil)
	type Inner struct{ Other bool }
	for _, next := range []struct {
		goType reflect.Type
		side   ours.Side
	}{
		{outerInner, ours.Taken}, {outerInner, ours.Written}, {outerInner, ours.Written},
		{reflect.TypeFor[Inner](), ours.Written}, {reflect.TypeFor[Inner](), ours.Taken},
		{reflect.TypeFor[jsonschematest.Page[Inner]](), ours.Written},
	} {
		_, err := set.Of(next.goType, next.side)
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"Inner", "InnerWritten", "jsonschema_test.Inner", "InnerTaken", "Page_Inner"}, set.Definitions().Names())
}

var outerInner = reflect.TypeFor[jsonschematest.Inner]()
