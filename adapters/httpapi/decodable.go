package httpapi

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/leftfold/leftfold/internal/jsonschema"
)

// checkDecodable panics if the definition of the type, or of one that it holds, keeps it from
// being read, such as two fields of one name. Else the first request would find it.
func checkDecodable(t reflect.Type) {
	_, err := jsonschema.NewSet("", nil).Of(t, jsonschema.Taken)
	if err == nil {
		err = checkStructs(t, map[reflect.Type]bool{})
	}
	if err != nil {
		panic(fmt.Sprintf("httpapi: %s cannot be read from JSON: %v", t, err))
	}
}

// checkStructs reads an empty object into each struct: that is when the decoder looks at its fields.
func checkStructs(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || decodesItself(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return checkStructs(t.Elem(), seen)
	case reflect.Struct:
		if err := json.Unmarshal([]byte("{}"), reflect.New(t).Interface(), strict); err != nil {
			return err
		}
		for field := range t.Fields() {
			if field.Tag.Get("json") == "-" || !field.IsExported() && !field.Anonymous {
				continue
			}
			if err := checkStructs(field.Type, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodesItself(t reflect.Type) bool {
	return implements[json.Unmarshaler](t) || implements[json.UnmarshalerFrom](t) || implements[encoding.TextUnmarshaler](t)
}

// readNumber reads a number that keeps its digits. The decoder would take it for a string.
func readNumber(decoder *jsontext.Decoder, number *stdjson.Number) error {
	if kind, members := decoder.StackIndex(decoder.StackDepth()); kind == '{' && members%2 == 0 {
		return errors.ErrUnsupported // the name of a member is any string
	}
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	kind := jsontext.Kind('0')
	if quoted, _ := json.GetOption(decoder.Options(), json.StringifyNumbers); quoted {
		kind = '"'
	}
	*number = stdjson.Number(token.String())
	if token.Kind() != kind || !isNumber(*number) {
		return &json.SemanticError{JSONKind: token.Kind(), GoType: reflect.TypeFor[stdjson.Number]()}
	}
	return nil
}

// isNumber reports whether the text is a number of JSON, and nothing else.
func isNumber(text stdjson.Number) bool {
	value := jsontext.Value(text)
	return value.Kind() == '0' && value.IsValid() && len(value) == len(strings.TrimSpace(string(text)))
}
