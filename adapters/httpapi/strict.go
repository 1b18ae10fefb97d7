package httpapi

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// strict is how bodies are read: values have the form that encoding/json gives them, as
// everywhere in Leftfold, and nothing is passed over, guessed or given twice.
var strict = newStrict()

func newStrict() (options json.Options) {
	options = json.JoinOptions(
		json.RejectUnknownMembers(true),
		jsonv1.FormatByteArrayAsArray(true),
		jsonv1.FormatBytesWithLegacySemantics(true),
		jsonv1.FormatDurationAsNano(true),
		json.WithUnmarshalers(json.JoinUnmarshalers(
			json.UnmarshalFromFunc(func(decoder *jsontext.Decoder, value any) error { return readStrictly(decoder, value, options) }),
			json.UnmarshalFromFunc(readNumber),
		)),
	)
	return options
}

// errNull: a field that cannot be null would keep its zero value.
var errNull = errors.New("it cannot be null; leave it out or give a value")

// errInString: the value must come in a string.
var errInString = errors.New("in a string")

// readStrictly refuses null, and reads what stands in a string by itself: the decoder would take
// "null", "NaN" and "01" for numbers.
func readStrictly(decoder *jsontext.Decoder, value any, options json.Options) error {
	t := reflect.TypeOf(value).Elem()
	switch {
	case decoder.PeekKind() == 'n' && !nullable(t):
		return errNull
	case isInString(decoder, t):
		return readString(decoder, value, options)
	default:
		return errors.ErrUnsupported // not ours, go on
	}
}

// nullable reports whether null is a value of the type, or for the type to judge.
func nullable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	default:
		if t == reflect.TypeFor[time.Time]() {
			return false // it would judge that null is no change
		}
		return implements[json.Unmarshaler](t) || implements[json.UnmarshalerFrom](t)
	}
}

func implements[I any](t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[I]())
}

func decodesItself(t reflect.Type) bool {
	return implements[json.Unmarshaler](t) || implements[json.UnmarshalerFrom](t) || implements[encoding.TextUnmarshaler](t)
}

// isInString reports whether the JSON of the value comes in a string: by a tag, or because it is
// the key of a map.
func isInString(decoder *jsontext.Decoder, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || decodesItself(t) {
		return false
	}
	if isName(decoder) {
		return reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr
	}
	quoted, _ := json.GetOption(decoder.Options(), json.StringifyNumbers)
	return quoted
}

// isName reports whether the name of a member comes next.
func isName(decoder *jsontext.Decoder) bool {
	kind, length := decoder.StackIndex(decoder.StackDepth())
	return kind == '{' && length%2 == 0
}

// readString reads a string that holds the JSON of the value, and nothing else.
func readString(decoder *jsontext.Decoder, value any, options json.Options) error {
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	bad := &json.SemanticError{JSONKind: token.Kind(), GoType: reflect.TypeOf(value).Elem(), Err: errInString}
	if token.Kind() != '"' {
		return bad
	}
	text := token.String()
	err = json.Unmarshal([]byte(text), value, options)
	if err == nil && strings.TrimSpace(text) == text {
		return nil
	}
	if inner, ok := errors.AsType[*json.SemanticError](err); ok {
		bad.JSONValue, bad.Err = inner.JSONValue, inner.Err
	}
	return bad
}

// readNumber reads a number that keeps its digits. The decoder would take a string for one.
func readNumber(decoder *jsontext.Decoder, number *stdjson.Number) error {
	if isName(decoder) {
		return errors.ErrUnsupported
	}
	token, err := decoder.ReadToken()
	if err == nil && token.Kind() != '0' {
		return &json.SemanticError{JSONKind: token.Kind(), GoType: reflect.TypeFor[stdjson.Number]()}
	}
	*number = stdjson.Number(token.String())
	return err
}
