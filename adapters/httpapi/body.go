package httpapi

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readBody returns the body if it is JSON and no larger than the limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	tooLarge := &Problem{Type: TypeTooLarge, Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body may have %d bytes", limit)}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isTooLarge:
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Problem{Status: http.StatusRequestTimeout, Detail: "the body did not come in time", cause: err}
	case err != nil:
		return nil, &Problem{Type: TypeMalformed, Status: http.StatusBadRequest, Detail: "the body was cut off", cause: err}
	case len(body) == 0:
		return nil, malformed("the body is empty; a command without fields is {}")
	}
	return body, nil
}

func checkMediaType(header http.Header) error {
	wrong := func(detail string) error {
		return &Problem{Type: TypeMediaType, Status: http.StatusUnsupportedMediaType, Detail: detail}
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return wrong("the body is compressed; send it as it is")
	}
	media, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/json" || len(header.Values("Content-Type")) > 1 {
		return wrong("the Content-Type must be application/json")
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return wrong("JSON is UTF-8")
	}
	return nil
}

// decode reads the body into a new value of the type, and returns the value.
func decode(body []byte, t reflect.Type) (any, error) {
	value := reflect.New(t)
	if err := json.Unmarshal(body, value.Interface(), strict); err != nil {
		return nil, explain(err)
	}
	return value.Elem().Interface(), nil
}

// explain tells a client where its JSON is wrong, and what would be right.
func explain(err error) *Problem {
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(bad.Err, jsontext.ErrDuplicateName) {
			return malformed("a field is given twice", at(bad.JSONPointer, "it is given twice"))
		}
		detail := fmt.Sprintf("%v, at byte %d", bad.Err, bad.ByteOffset)
		return malformed("the body is not JSON", at(bad.JSONPointer, detail))
	}
	if bad, ok := errors.AsType[*json.SemanticError](err); ok {
		return malformed("the body is not such a command", at(bad.JSONPointer, misfit(bad)))
	}
	return malformed("the body cannot be read")
}

func at(pointer jsontext.Pointer, detail string) FieldError {
	return FieldError{Pointer: "#" + (&url.URL{Path: clip(string(pointer))}).EscapedPath(), Detail: clip(detail)}
}

// clip keeps a request from being sent back whole.
func clip(text string) string {
	const enough = 200
	if len(text) <= enough {
		return text
	}
	return strings.ToValidUTF8(text[:enough], "") + "..."
}

func misfit(bad *json.SemanticError) string {
	switch {
	case errors.Is(bad.Err, errNull):
		return errNull.Error()
	case errors.Is(bad.Err, json.ErrUnknownName):
		return "there is no such field; names are exact, upper and lower case count"
	case errors.Is(bad.Err, strconv.ErrRange):
		return fmt.Sprintf("%.40s is out of range, it is to be %s", string(bad.JSONValue), describe(bad.GoType))
	case errors.Is(bad.Err, errInString):
		return "it is to be " + describe(bad.GoType) + " in a string"
	case bad.Err == nil || errors.Is(bad.Err, strconv.ErrSyntax):
		return "it is to be " + describe(bad.GoType)
	default:
		return fmt.Sprintf("it is to be %s: %v", describe(bad.GoType), bad.Err)
	}
}

// describe says in words what JSON a type takes.
func describe(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	switch kind := t.Kind(); {
	case implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t):
		return "a " + strings.ToLower(t.Name())
	case kind == reflect.Pointer:
		return describe(t.Elem()) + " or null"
	case kind == reflect.Bool:
		return "true or false"
	case reflect.Int <= kind && kind <= reflect.Int64:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	case reflect.Uint <= kind && kind <= reflect.Uintptr:
		return fmt.Sprintf("a whole number of %d bits, not negative", t.Bits())
	case kind == reflect.Float32 || kind == reflect.Float64:
		return "a number"
	case t == reflect.TypeFor[stdjson.Number]():
		return "a number"
	case kind == reflect.String:
		return "a string"
	case kind == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a string in base64"
	case kind == reflect.Slice || kind == reflect.Array:
		return "an array"
	case kind == reflect.Struct || kind == reflect.Map:
		return "an object"
	default:
		return "something else"
	}
}
