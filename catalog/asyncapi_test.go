package catalog_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/catalog"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/jsonschema/jsonschematest"
)

// asyncAPI is the schema of the AsyncAPI Initiative for documents of 3.0.0; see testdata/NOTICE.
// It is large, so it is read once.
var asyncAPI = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile("testdata/asyncapi-3.0.0.json")
})

func validate(t *testing.T, text []byte) error {
	schema, err := asyncAPI()
	require.NoError(t, err)
	return schema.Validate(parsed(t, text))
}

// compile returns the schema at a place of a text, by the rules of draft 7 if it does not say.
func compile(t *testing.T, text []byte, place string) *jsonschema.Schema {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	require.NoError(t, compiler.AddResource("document.json", parsed(t, text)))
	schema, err := compiler.Compile("document.json" + place)
	require.NoError(t, err)
	return schema
}

func parsed(t *testing.T, text []byte) any {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return value
}

func TestTheEventsOfAShopAreADocumentOfAsyncAPI(t *testing.T) {
	text, err := shop().AsyncAPI()
	require.NoError(t, err)
	golden(t, "shop.asyncapi.json", text)
	require.NoError(t, validate(t, text))
	assert.Empty(t, jsonschematest.Dangling(parsed(t, text)), "references that lead nowhere")
}

func TestACatalogOfNothingIsADocumentToo(t *testing.T) {
	text, err := catalog.Catalog{}.AsyncAPI()
	require.NoError(t, err)
	require.NoError(t, validate(t, text), "%s", text)
}

// The validator is only worth something if it refuses what is wrong.
func TestPlantedMistakesAreRefused(t *testing.T) {
	text, err := shop().AsyncAPI()
	require.NoError(t, err)
	for right, wrong := range map[string]string{
		`"asyncapi": "3.0.0"`:        `"asyncapi": "2.6.0"`,
		`"action": "send"`:           `"action": "publish"`,
		`"address": "order-{id}"`:    `"location": "order-{id}"`,
		`"type": "integer"`:          `"type": "int"`,
		`"title": "Shop",`:           ``,
		`"x-schema-version": 2`:      `"schemaVersion": 2`,
		`"format": "date-time"`:      `"format": 7`,
		`"$ref": "#/channels/order"`: `"href": "#/channels/order"`,
	} {
		broken := strings.Replace(string(text), right, wrong, 1)
		require.NotEqual(t, string(text), broken, right)
		assert.Error(t, validate(t, []byte(broken)), wrong)
	}
}

// What a program appends is what its document says.
func TestPayloadsFitTheDocument(t *testing.T) {
	text, err := shop().AsyncAPI()
	require.NoError(t, err)
	events := set(codec.Event[Placed]("order.placed"), codec.Event[Cancelled]("order.cancelled"), codec.Event[Paid]("order.paid"))
	for _, event := range []any{
		Placed{}, Placed{At: time.Now(), Lines: []Line{{"A", 1}}, Total: Euro{7}}, Cancelled{}, Cancelled{"late"}, Paid{Cents: -1 << 63},
	} {
		data, err := events.Encode(event)
		require.NoError(t, err)
		payload := compile(t, text, "#/components/messages/"+data.Type+"/payload")
		assert.NoError(t, payload.Validate(parsed(t, data.Data)), "%s", data.Data)
		assert.Error(t, payload.Validate(parsed(t, []byte(`{"at":7,"why":false,"Cents":"1"}`))), data.Type)
	}
}

func TestMistakesInACatalogAreNamed(t *testing.T) {
	type strange struct{ When time.Time }
	for want, broken := range map[string]catalog.Catalog{
		`AsyncAPI: two aggregates have the category "order"`: {Aggregates: []catalog.Aggregate{orders, orders}},
		`AsyncAPI: projection order_summaries reads catalog_test.Paid, which the catalog does not have: add its aggregate, or its set to Events`: {
			Aggregates: []catalog.Aggregate{orders}, Projections: []catalog.Projection{summaries},
		},
		`AsyncAPI: event "order.paid" has two types: catalog_test.Paid and catalog_test.strange`: {
			Aggregates: []catalog.Aggregate{payments}, Events: set(codec.Event[strange]("order.paid")),
		},
	} {
		_, err := broken.AsyncAPI()
		assert.EqualError(t, err, want)
	}
	_, err := catalog.Catalog{Events: set(codec.Event[strange]("s")), Schemas: map[reflect.Type]json.RawMessage{reflect.TypeFor[time.Time](): json.RawMessage("{")}}.AsyncAPI()
	assert.ErrorContains(t, err, "unexpected end of JSON input")
}
