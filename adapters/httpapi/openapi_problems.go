package httpapi

import (
	"github.com/leftfold/leftfold/internal/jsonschema"
)

// openProblem is a status with the types of the problems that it has, and what it means.
type openProblem struct {
	status int
	why    string
	types  []string
	header string             // that it may have
	asks   func(Options) bool // the hook that says so; nil: it needs none
}

func authenticates(o Options) bool { return o.Authenticate != nil }
func authorizes(o Options) bool    { return o.Authorize != nil }

// The problems of commands and of queries. A name that is not registered and a method that is not
// for it have no place in the document: there is no such operation.
var (
	commandProblems = []openProblem{
		{400, "The request is not understood; errors names the part.", []string{TypeMalformed, TypeKeyRequired}, "", nil},
		{401, "Nobody knows who you are.", []string{TypeUnauthenticated}, "WWW-Authenticate", authenticates},
		{403, "You may not do this.", []string{TypeForbidden}, "", nil},
		{408, "The body did not come in time.", nil, "", nil},
		{409, "Others were faster, or what the command is about was deleted. Look at what there is now.", []string{TypeConflict, TypeStreamDeleted}, "ETag", nil},
		{412, "What the command is about is not at the version of If-Match.", []string{TypePreconditionFailed}, "ETag", nil},
		{413, "The body is too large.", []string{TypeTooLarge}, "", nil},
		{415, "The body is not application/json in UTF-8, or is compressed.", []string{TypeMediaType}, "", nil},
		{422, "The command is understood, and the answer is no.", []string{TypeInvalid, TypeRefused, TypeKeyReused}, "", nil},
		{500, "The server failed; its log has the cause, under the instance.", []string{TypeInternal}, "", nil},
		{503, "The server is too busy or is stopping. Try again, with the same " + HeaderKey + ".", []string{TypeUnavailable}, "Retry-After", nil},
		{504, "The command may have taken effect. Repeat it with the same " + HeaderKey + " to find out.", []string{TypeOutcomeUnknown}, "", nil},
	}
	queryProblems = []openProblem{
		{400, "The request is not understood; errors names the part.", []string{TypeMalformed, TypeForeignToken}, "", nil},
		{401, "Nobody knows who you are.", []string{TypeUnauthenticated}, "WWW-Authenticate", authenticates},
		{403, "You may not ask this.", []string{TypeForbidden}, "", authorizes},
		{404, "What the query asks for does not exist.", []string{TypeNotFound}, "", nil},
		{409, "A token of " + HeaderAfter + " is of a past life of the store. Drop it and read again.", []string{TypeDiverged}, "", nil},
		{422, "The question is understood, and makes no sense.", []string{TypeInvalid}, "", nil},
		{500, "The server failed; its log has the cause, under the instance.", []string{TypeInternal}, "", nil},
		{503, "The answer does not include the tokens yet or is older than it may be, or the server is too busy or is stopping. Ask again.", []string{TypeNotCaughtUp, TypeParked, TypeUnavailable}, "Retry-After", nil},
		{504, "The query took too long.", []string{TypeTimeout}, "", nil},
	}
)

func (p openProblem) response(schema *jsonschema.Schema) openResponse {
	r := openResponse{Description: p.why, Content: map[string]openMedia{"application/problem+json": {schema}}}
	for _, kind := range p.types {
		r.Description += "\n- " + kind
	}
	if p.header != "" {
		r.Headers = map[string]openHeader{p.header: {headerMeanings[p.header], stringSchema()}}
	}
	return r
}

var headerMeanings = map[string]string{
	"ETag":             "The version that it is at, for If-Match.",
	"Retry-After":      "Try again after that many seconds.",
	"WWW-Authenticate": "How to say who you are.",
}
