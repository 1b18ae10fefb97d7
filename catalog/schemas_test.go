package catalog_test

import (
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachCommandEventAndAnswerHasAJSONSchema(t *testing.T) {
	files, err := shop().JSONSchemas()
	require.NoError(t, err)
	for file, text := range files {
		golden(t, filepath.Join("schemas", file), text)
	}
	onDisk, err := filepath.Glob("testdata/schemas/*/*.json")
	require.NoError(t, err)
	assert.Len(t, onDisk, len(files))
}

func TestASchemaOfACommandRefusesWhatTheTypeDoesNotHave(t *testing.T) {
	files, err := shop().JSONSchemas()
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("place.json", parsed(t, files["commands/order.place.json"])))
	place, err := compiler.Compile("place.json")
	require.NoError(t, err)
	for body, fits := range map[string]bool{
		`{}`: true, `{"Lines":null}`: true, `{"Lines":[{"sku":"A","quantity":65535}]}`: true,
		`null`: false, `{"lines":[]}`: false, `{"Lines":[{"sku":"A","quantity":65536}]}`: false, `{"Lines":[{"sku":null}]}`: false, `{"Lines":[null]}`: false,
	} {
		assert.Equal(t, fits, place.Validate(parsed(t, []byte(body))) == nil, body)
	}
}
