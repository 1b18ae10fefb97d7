package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	ours "github.com/leftfold/leftfold/internal/jsonschema"
	"github.com/leftfold/leftfold/internal/jsonschema/jsonschematest"
)

func draw(t *rapid.T) jsonschematest.Draw {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
}

// What encoding/json writes fits the schema of what is written, and, since it can be read back,
// that of what is taken.
func TestWhatIsWrittenFitsTheSchemas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		goType := jsonschematest.Type(draw(t), 2)
		text, err := json.Marshal(jsonschematest.Value(draw(t), goType).Interface())
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

// What the schema refuses, encoding/json refuses when it knows no other fields, but for null and
// for lists of another length, which it takes for anything. What httpapi takes is closer to
// the schema; its tests say how close.
func TestWhatTheSchemaRefusesTheDecoderRefuses(t *testing.T) {
	t.Parallel()
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		goType := jsonschematest.Type(draw(t), 2)
		text, err := json.Marshal(jsonschematest.Value(draw(t), goType).Interface())
		require.NoError(t, err)
		text, err = jsonschematest.Change(draw(t), text)
		require.NoError(t, err)
		schema := schemaOf(t, ours.Taken, goType)
		if fits(t, compile(t, schema), text) == nil {
			return
		}
		refused++
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		require.Error(t, decoder.Decode(reflect.New(goType).Interface()), "%s\nrefuses %s, and a %s does not", schema, text, goType)
	})
	require.Positive(t, refused)
}
