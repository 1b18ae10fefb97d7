package jsonv2

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A json.Number is a number for encoding/json and a string for json/v2. Saying otherwise costs a
// search for each field, so it is said for the types that may hold one alone.
var (
	withNumbers = json.JoinOptions(options,
		json.WithMarshalers(json.MarshalToFunc(writeNumber)), json.WithUnmarshalers(json.UnmarshalFromFunc(readNumber)))
	mayHold sync.Map // a number, by reflect.Type
)

// optionsFor returns the options for a value of the type.
func optionsFor(t reflect.Type) json.Options {
	may, known := mayHold.Load(t)
	if !known {
		may = mayHoldNumber(t, map[reflect.Type]bool{})
		mayHold.Store(t, may)
	}
	if may.(bool) {
		return withNumbers
	}
	return options
}

var numberType = reflect.TypeFor[stdjson.Number]()

func mayHoldNumber(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == nil || t == numberType || t.Kind() == reflect.Interface {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map: // keys are strings anyway
		return mayHoldNumber(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if mayHoldNumber(field.Type, seen) {
				return true
			}
		}
	}
	return false
}

func writeNumber(encoder *jsontext.Encoder, number stdjson.Number) error {
	if isName(encoder.StackIndex(encoder.StackDepth())) {
		return errors.ErrUnsupported
	}
	if number == "" {
		number = "0"
	}
	if !isNumber(string(number)) {
		return fmt.Errorf("%q is not a number", string(number))
	}
	text := string(number)
	if quoted, _ := json.GetOption(encoder.Options(), json.StringifyNumbers); quoted {
		text = `"` + text + `"`
	}
	return encoder.WriteValue(jsontext.Value(text))
}

// readNumber takes a number, or a string that holds one, as encoding/json does.
func readNumber(decoder *jsontext.Decoder, number *stdjson.Number) error {
	if isName(decoder.StackIndex(decoder.StackDepth())) {
		return errors.ErrUnsupported
	}
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	kind, text := token.Kind(), token.String()
	quoted, _ := json.GetOption(decoder.Options(), json.StringifyNumbers)
	switch {
	case kind == 'n':
		*number = ""
	case kind == '0' && !quoted, kind == '"' && isNumber(text):
		*number = stdjson.Number(text)
	default:
		return &json.SemanticError{JSONKind: kind, GoType: numberType}
	}
	return nil
}

// isName reports whether a name of an object comes next: there a number is a string like any other.
func isName(kind jsontext.Kind, length int64) bool { return kind == '{' && length%2 == 0 }

func isNumber(text string) bool {
	value := jsontext.Value(text)
	return value.Kind() == '0' && value.IsValid() && strings.TrimSpace(text) == text
}
