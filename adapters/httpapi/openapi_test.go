package httpapi_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/internal/jsonschema/jsonschematest"
	"github.com/leftfold/leftfold/query"
)

// openAPI is the OpenAPI Initiative's schema for documents of 3.1 (see testdata/NOTICE), and, where
// it leaves schemas open, that of JSON Schema 2020-12 for them. The initiative does the same in its
// schema-base.
func openAPI(t *testing.T) *jsonschema.Schema {
	text, err := os.ReadFile("testdata/openapi-3.1.json")
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("openapi.json", parsed(t, string(text))))
	require.NoError(t, compiler.AddResource("base.json", parsed(t, `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$ref": "openapi.json",
		"$defs": {"schema": {"$dynamicAnchor": "meta", "$ref": "https://json-schema.org/draft/2020-12/schema"}}
	}`)))
	schema, err := compiler.Compile("base.json")
	require.NoError(t, err)
	return schema
}

func parsed(t *testing.T, text string) any {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	return value
}

// described is the service of the fixtures, as it is described.
func described(t *testing.T, options httpapi.Options) []byte {
	store := memory.NewStore()
	text, err := httpapi.OpenAPI(httpapi.Description{
		Title: "Accounts", Version: "1.2", Servers: []string{"https://accounts.example/v1"},
		Commands: commandsOver(store, nil), Queries: queriesOver(memory.NewSink(), nil),
		CommandOptions: options, QueryOptions: options,
	})
	require.NoError(t, err)
	return text
}

func TestAServiceIsDescribedInOpenAPI(t *testing.T) {
	text := described(t, httpapi.Options{})
	require.NoError(t, openAPI(t).Validate(parsed(t, string(text))))
	assert.Empty(t, jsonschematest.Dangling(parsed(t, string(text))), "references that lead nowhere")
	golden(t, "accounts.openapi.json", text)
}

// golden compares with a file of testdata. After a wanted change:
//
//	LEFTFOLD_WRITE_GOLDEN=1 go test ./adapters/httpapi
func golden(t *testing.T, file string, text []byte) {
	file = filepath.Join("testdata", file)
	if os.Getenv("LEFTFOLD_WRITE_GOLDEN") == "1" {
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text), "LEFTFOLD_WRITE_GOLDEN=1 writes it anew")
}

func TestOptionsAreDescribed(t *testing.T) {
	text := string(described(t, httpapi.Options{
		RequireKey: true, Challenge: `Basic realm="accounts"`, Names: []string{"fail"},
		Authenticate: func(*http.Request) (string, error) { return "ada", nil },
	}))
	require.NoError(t, openAPI(t).Validate(parsed(t, text)))
	assert.Contains(t, text, `"securitySchemes"`)
	assert.Contains(t, text, `"scheme": "basic"`)
	assert.Contains(t, text, `"command-401"`)
	assert.Contains(t, text, `"required": true,`)
	assert.NotContains(t, text, "account.deposit", "it is not served")
}

func TestADescriptionOfNothingIsADocumentToo(t *testing.T) {
	text, err := httpapi.OpenAPI(httpapi.Description{})
	require.NoError(t, err)
	require.NoError(t, openAPI(t).Validate(parsed(t, string(text))))
}

// The validator is only worth something if it refuses what is wrong.
func TestPlantedMistakesInADocumentAreRefused(t *testing.T) {
	text := string(described(t, httpapi.Options{}))
	schema := openAPI(t)
	for right, wrong := range map[string]string{
		`"openapi": "3.1.0"`:       `"openapi": "3.0.3"`,
		`"in": "header"`:           `"in": "body"`,
		`"title": "Accounts",`:     ``,
		`"operationId"`:            `"operation"`,
		`"description": "The ans`:  `"summary": "The ans`,
		`"type": "integer"`:        `"type": "int"`,
		`"minimum": 0`:             `"minimum": "0"`,
		`"/commands/`:              `"commands/`,
		`"required": true`:         `"required": "yes"`,
		`"$ref": "#/components/re`: `"href": "#/components/re`,
	} {
		broken := strings.Replace(text, right, wrong, 1)
		require.NotEqual(t, text, broken, right)
		assert.Error(t, schema.Validate(parsed(t, broken)), wrong)
	}
}

func TestWhatCannotBeDescribedIsNamed(t *testing.T) {
	type done struct{ Done chan int }
	type nested struct{ In struct{ A int } }
	commands, queries := command.NewBus(), query.NewBus()
	command.Handle(commands, "bad", handled[done])
	_, err := httpapi.OpenAPI(httpapi.Description{Commands: commands})
	require.EqualError(t, err, `OpenAPI: command "bad": httpapi_test.done.Done is a chan int, which JSON cannot hold`)
	query.Handle(queries, "bad", func(context.Context, nested) (int, error) { return 0, nil })
	_, err = httpapi.OpenAPI(httpapi.Description{Queries: queries})
	require.EqualError(t, err, `OpenAPI: query "bad": field In: a parameter cannot be a struct { A int }`)
}

func TestADocumentIsServed(t *testing.T) {
	h := httpapi.Document([]byte("{}\n"))
	w := do(h, http.MethodGet, "/openapi.json", "")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	assert.Equal(t, "{}\n", w.Body.String())
	told(t, do(h, http.MethodPost, "/openapi.json", ""), http.StatusMethodNotAllowed, httpapi.TypeMethodNotAllowed)
}

// A schema cannot check this either.
func TestEachOperationHasAnIDOfItsOwn(t *testing.T) {
	bus := query.NewBus()
	query.Handle(bus, "account.deposit", func(context.Context, struct{}) (int, error) { return 0, nil })
	text, err := httpapi.OpenAPI(httpapi.Description{Commands: commandsOver(memory.NewStore(), nil), Queries: bus})
	require.NoError(t, err)
	ids := regexp.MustCompile(`"operationId": ".*"`).FindAllString(string(text), -1)
	assert.Len(t, ids, 4)
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), 4)
}
