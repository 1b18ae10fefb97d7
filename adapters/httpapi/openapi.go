package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/internal/jsonschema"
	"github.com/leftfold/leftfold/query"
)

// Description is what [OpenAPI] describes: the buses with the options that they are served with.
type Description struct {
	// Title and Version are the API's. Default: "Commands and queries" and "0".
	Title, Version string

	// Servers are the URLs below which the handlers are mounted, such as https://example.com/v1.
	// Default: the one that the document comes from.
	Servers []string

	// Commands and Queries are the buses. Default: none.
	Commands *command.Bus
	Queries  *query.Bus

	// CommandOptions and QueryOptions are those that [Commands] and [Queries] get.
	CommandOptions, QueryOptions Options

	// Schemas are the JSON Schemas of types whose JSON does not follow from their fields and that
	// have no method JSONSchema() json.RawMessage, such as those of other modules. They stand for
	// their types wherever these are met.
	Schemas map[reflect.Type]json.RawMessage
}

// OpenAPI returns a document of OpenAPI 3.1, in JSON, of what [Commands] and [Queries] do with the
// same options. Register every handler before. Serve it with [Document]; it depends on
// nothing but what is described, byte for byte.
//
// The body of a command has the fields of its type and no others. None is required: whether a
// command may do without is for its Validate to say. Answers may get more fields in time, so
// their schemas are open.
//
// Errors: a type that JSON cannot hold, a question that parameters cannot say, a schema that is
// no JSON.
func OpenAPI(d Description) ([]byte, error) {
	b := openBuilder{
		schemas: jsonschema.NewSet("#/components/schemas/", d.Schemas),
		doc: openDocument{
			OpenAPI: "3.1.0", Info: openInfo{cmp.Or(d.Title, "Commands and queries"), cmp.Or(d.Version, "0")},
			Paths: map[string]openPath{}, Components: openComponents{Responses: map[string]openResponse{}},
		},
	}
	for _, server := range d.Servers {
		b.doc.Servers = append(b.doc.Servers, openServer{server})
	}
	if err := b.build(d); err != nil {
		return nil, fmt.Errorf("OpenAPI: %w", err)
	}
	return jsonschema.Document(b.doc)
}

// Document serves a text in JSON, such as that of [OpenAPI], to GET and HEAD.
func Document(text []byte) http.Handler {
	return Options{}.withDefaults().handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := allowed(r, http.MethodGet, http.MethodHead); err != nil {
			return err
		}
		send(w, http.StatusOK, "application/json", text)
		return nil
	})
}

// openBuilder fills the document.
type openBuilder struct {
	schemas          *jsonschema.Set
	receipt, problem *jsonschema.Schema
	doc              openDocument
}

func (b *openBuilder) build(d Description) (err error) {
	// Ours come first, so that they have their own names whatever the program's are called.
	if b.receipt, err = b.schemas.Of(reflect.TypeFor[Receipt](), jsonschema.Written); err != nil {
		return err
	}
	if b.problem, err = b.schemas.Of(reflect.TypeFor[Problem](), jsonschema.Written); err != nil {
		return err
	}
	if d.Commands != nil {
		if err := b.commands(d.Commands.Commands(), d.CommandOptions.withDefaults()); err != nil {
			return err
		}
	}
	if d.Queries != nil {
		if err := b.queries(d.Queries.Queries(), d.QueryOptions.withDefaults()); err != nil {
			return err
		}
	}
	b.doc.Components.Schemas = b.schemas.Definitions()
	return nil
}

func (b *openBuilder) commands(registered []command.Registration, options Options) error {
	responses := b.responses("command", commandProblems, options)
	responses["200"] = openResponse{
		Description: "The receipt: the command has taken effect, now or before.",
		Headers: map[string]openHeader{
			HeaderPosition: {"The token for " + HeaderAfter + " of a query; none if nothing was appended.", stringSchema()},
			"ETag":         {"The version of the stream, for If-Match, if the command appended to one.", versionSchema()},
		},
		Content: jsonContent(b.receipt),
	}
	for _, r := range registered {
		if !options.serves(r.Name) {
			continue
		}
		body, err := b.schemas.Of(r.GoType, jsonschema.Taken)
		if err != nil {
			return fmt.Errorf("command %q: %w", r.Name, err)
		}
		b.doc.Paths[pathOf(commandsPath, r.Name)] = openPath{Post: &openOperation{
			ID: "command." + r.Name, Tags: []string{"commands"}, Security: b.security(options),
			Parameters: commandHeaders(options.RequireKey),
			Body:       &openBody{Required: true, Content: jsonContent(body)},
			Responses:  responses,
		}}
	}
	return nil
}

func (b *openBuilder) queries(registered []query.Registration, options Options) error {
	problems := b.responses("query", queryProblems, options)
	for _, r := range registered {
		if !options.serves(r.Name) {
			continue
		}
		parameters, err := b.parameters(r.Question)
		if err != nil {
			return fmt.Errorf("query %q: %w", r.Name, err)
		}
		answer, err := b.schemas.Of(r.Answer, jsonschema.Written)
		if err != nil {
			return fmt.Errorf("query %q: %w", r.Name, err)
		}
		responses := map[string]any{"200": openResponse{
			Description: "The answer.",
			Headers:     answerHeaders(),
			Content:     jsonContent(answer),
		}}
		maps.Copy(responses, problems)
		b.doc.Paths[pathOf(queriesPath, r.Name)] = openPath{Get: &openOperation{
			ID: "query." + r.Name, Tags: []string{"queries"}, Security: b.security(options),
			Parameters: append(parameters, queryHeaders(options)...), Responses: responses,
		}}
	}
	return nil
}

// parameters are those of a question, in the order of its fields.
func (b *openBuilder) parameters(t reflect.Type) ([]openParameter, error) {
	q, err := newQuestion(t)
	if err != nil {
		return nil, err
	}
	var all []openParameter
	for _, name := range q.names() {
		at := t.FieldByIndex(q.parameters[name].index).Type
		many := q.parameters[name].many
		if many {
			at = at.Elem()
		}
		for at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		schema, err := b.schemas.Parameter(at)
		if err != nil {
			return nil, err
		}
		if many {
			schema = jsonschema.ListOf(schema)
		}
		all = append(all, openParameter{Name: name, In: "query", Schema: schema})
	}
	return all, nil
}

// names returns the names of the parameters in the order of their fields.
func (q question) names() []string {
	names := make([]string, 0, len(q.parameters))
	for name := range q.parameters {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return slices.Compare(q.parameters[a].index, q.parameters[b].index)
	})
	return names
}

// security says how a client shows who it is, if it is asked.
func (b *openBuilder) security(options Options) []map[string][]string {
	if options.Authenticate == nil {
		return nil
	}
	scheme, _, _ := strings.Cut(options.Challenge, " ")
	scheme = strings.ToLower(scheme)
	if b.doc.Components.SecuritySchemes == nil {
		b.doc.Components.SecuritySchemes = map[string]openSecurity{}
	}
	b.doc.Components.SecuritySchemes[scheme] = openSecurity{"http", scheme}
	return []map[string][]string{{scheme: {}}}
}

// responses refer to one response for each status, and one for what hooks and handlers may
// say besides.
func (b *openBuilder) responses(prefix string, problems []openProblem, options Options) map[string]any {
	refs := map[string]any{}
	for _, p := range problems {
		if p.asks != nil && !p.asks(options) {
			continue
		}
		status := strconv.Itoa(p.status)
		b.doc.Components.Responses[prefix+"-"+status] = p.response(b.problem)
		refs[status] = openRef{"#/components/responses/" + prefix + "-" + status}
	}
	b.doc.Components.Responses["problem"] = openProblem{why: "Another problem, of this service."}.response(b.problem)
	refs["default"] = openRef{"#/components/responses/problem"}
	return refs
}

// pathOf returns the path of a name; what OpenAPI would take for a template is escaped.
func pathOf(prefix, name string) string { return prefix + url.PathEscape(name) }
