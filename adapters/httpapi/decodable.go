package httpapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

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
		return checkFields(t, seen)
	default:
		return nil
	}
}

func checkFields(t reflect.Type, seen map[reflect.Type]bool) error {
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		if tag == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		if _, options, _ := strings.Cut(tag, ","); slices.Contains(strings.Split(options, ","), "string") && !isQuotable(field.Type) {
			return fmt.Errorf("field %s of %s has the tag option string, which is for numbers, texts and booleans", field.Name, t)
		}
		if err := checkStructs(field.Type, seen); err != nil {
			return err
		}
	}
	return nil
}

// isQuotable reports whether a tag may say that values of the type stand in strings.
func isQuotable(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.Bool <= t.Kind() && t.Kind() <= reflect.Float64 || t.Kind() == reflect.String
}
