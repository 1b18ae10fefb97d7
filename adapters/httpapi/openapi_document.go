package httpapi

import (
	"fmt"
	"time"

	"github.com/leftfold/leftfold/internal/jsonschema"
)

// The parts of an OpenAPI document that are used, in the order in which people read them.
type (
	openDocument struct {
		OpenAPI    string              `json:"openapi"`
		Info       openInfo            `json:"info"`
		Servers    []openServer        `json:"servers,omitempty"`
		Paths      map[string]openPath `json:"paths"`
		Components openComponents      `json:"components"`
	}
	openInfo struct {
		Title   string `json:"title"`
		Version string `json:"version"`
	}
	openServer struct {
		URL string `json:"url"`
	}
	openPath struct {
		Get  *openOperation `json:"get,omitempty"`
		Post *openOperation `json:"post,omitempty"`
	}
	openOperation struct {
		ID         string                `json:"operationId"`
		Tags       []string              `json:"tags"`
		Security   []map[string][]string `json:"security,omitempty"`
		Parameters []openParameter       `json:"parameters"`
		Body       *openBody             `json:"requestBody,omitempty"`
		Responses  map[string]any        `json:"responses"` // openResponse or openRef, by status
	}
	openParameter struct {
		Name        string             `json:"name"`
		In          string             `json:"in"`
		Description string             `json:"description,omitempty"`
		Required    bool               `json:"required,omitempty"`
		Schema      *jsonschema.Schema `json:"schema"`
	}
	openBody struct {
		Required bool                 `json:"required"`
		Content  map[string]openMedia `json:"content"`
	}
	openMedia struct {
		Schema *jsonschema.Schema `json:"schema"`
	}
	openResponse struct {
		Description string                `json:"description"`
		Headers     map[string]openHeader `json:"headers,omitempty"`
		Content     map[string]openMedia  `json:"content,omitempty"`
	}
	openHeader struct {
		Description string             `json:"description"`
		Schema      *jsonschema.Schema `json:"schema"`
	}
	openComponents struct {
		Schemas         *jsonschema.Properties  `json:"schemas"`
		Responses       map[string]openResponse `json:"responses"`
		SecuritySchemes map[string]openSecurity `json:"securitySchemes,omitempty"`
	}
	openSecurity struct {
		Type   string `json:"type"`
		Scheme string `json:"scheme"`
	}
	openRef struct {
		Ref string `json:"$ref"`
	}
)

func jsonContent(schema *jsonschema.Schema) map[string]openMedia {
	return map[string]openMedia{"application/json": {schema}}
}

func stringSchema() *jsonschema.Schema { return jsonschema.Text("") }

// versionSchema is that of an ETag.
func versionSchema() *jsonschema.Schema { return jsonschema.Text(`^"(0|[1-9][0-9]*)"$`) }

func commandHeaders(keyRequired bool) []openParameter {
	return []openParameter{
		{
			Name: HeaderKey, In: "header", Required: keyRequired, Schema: stringSchema(),
			Description: fmt.Sprintf("Makes a repeat harmless: with the same key the command takes effect once, and every repeat gets the first receipt. "+
				"A string of printable ASCII in quotes, or without any of space, quote, backslash, comma and semicolon; 1 to %d bytes.", MaxKeyBytes),
		},
		{
			Name: "If-Match", In: "header", Schema: versionSchema(),
			Description: "The version that what the command is about must have, as the header ETag has it.",
		},
	}
}

func queryHeaders(options Options) []openParameter {
	return []openParameter{
		{
			Name: HeaderAfter, In: "header", Schema: jsonschema.ListOf(stringSchema()).AtMost(MaxTokens),
			Description: "Tokens of receipts, as " + HeaderPosition + " has them: the answer includes what they stand for.",
		},
		{
			Name: "Prefer", In: "header", Schema: stringSchema(),
			Description: fmt.Sprintf("How long the answer may wait for the tokens: wait=2, in whole seconds, %d at most. Default: %g. "+
				"handling=lenient: tokens of stores that the query does not follow are no mistake.",
				options.MaxWait/time.Second, options.Wait.Seconds()),
		},
		{
			Name: "Cache-Control", In: "header", Schema: stringSchema(),
			Description: "How old the answer may be, in seconds: max-age=5, or 0 for all that was there when the request came. " +
				"With max-stale, or max-stale=60, a stale answer will do when the wait is over.",
		},
	}
}

func answerHeaders() map[string]openHeader {
	return map[string]openHeader{
		"Preference-Applied": {"The preferences that were followed.", stringSchema()},
		HeaderAfter:          {"With handling=lenient: the tokens up to which the answer includes everything.", stringSchema()},
		HeaderPosition:       {"Tokens for " + HeaderAfter + " of the next query, which make its answer no older than this one.", stringSchema()},
		HeaderMissing:        {"The answer is stale: it does not include what these tokens stand for.", stringSchema()},
		"Age":                {"How old the answer is at most, in seconds; none if nobody knows.", jsonschema.Text(`^[0-9]+$`)},
	}
}
