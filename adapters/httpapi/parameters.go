package httpapi

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// question reads parameters into a struct.
type question struct {
	goType     reflect.Type
	parameters map[string]parameter
}

// parameter is one field of the struct.
type parameter struct {
	index []int
	many  bool                                        // a slice: the parameter may be repeated
	set   func(into reflect.Value, text string) error // one value
}

// newQuestion returns an error if parameters cannot say what the type asks.
func newQuestion(t reflect.Type) (question, error) {
	q := question{t, map[string]parameter{}}
	if t.Kind() != reflect.Struct {
		return q, fmt.Errorf("%s is no struct", t)
	}
	return q, q.add(t, nil)
}

// add takes the fields of the struct at the index.
func (q question) add(t reflect.Type, index []int) error {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		at := slices.Concat(index, field.Index)
		switch {
		case field.Tag.Get("json") == "-":
			continue
		case field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct && !readsText(field.Type):
			if err := q.add(field.Type, at); err != nil {
				return err
			}
			continue
		case !field.IsExported():
			continue
		case name == "":
			name = field.Name
		}
		p, err := newParameter(field.Type)
		if err != nil {
			return fmt.Errorf("field %s: %w", field.Name, err)
		}
		if _, taken := q.parameters[name]; taken {
			return fmt.Errorf("field %s: another field has its name %q", field.Name, name)
		}
		p.index = at
		q.parameters[name] = p
	}
	return nil
}

func newParameter(t reflect.Type) (p parameter, err error) {
	if t.Kind() == reflect.Slice && !readsText(t) && t.Elem().Kind() != reflect.Uint8 {
		p.set, err = setter(t.Elem())
		p.many = true
		return p, err
	}
	p.set, err = setter(t)
	return p, err
}

func readsText(t reflect.Type) bool { return implements[encoding.TextUnmarshaler](t) }

// setter returns what reads one value of the type.
func setter(t reflect.Type) (func(reflect.Value, string) error, error) {
	switch kind := t.Kind(); {
	case readsText(t):
		return setText, nil
	case kind == reflect.Pointer:
		set, err := setter(t.Elem())
		return func(into reflect.Value, text string) error {
			into.Set(reflect.New(t.Elem()))
			return set(into.Elem(), text)
		}, err
	case kind == reflect.String:
		return func(into reflect.Value, text string) error { into.SetString(text); return nil }, nil
	case kind == reflect.Bool:
		return setBool, nil
	case reflect.Int <= kind && kind <= reflect.Int64:
		return setInt, nil
	case reflect.Uint <= kind && kind <= reflect.Uint64:
		return setUint, nil
	case kind == reflect.Float32 || kind == reflect.Float64:
		return setFloat, nil
	default:
		return nil, fmt.Errorf("a parameter cannot be a %s", t)
	}
}

var errNumber = errors.New("not a number of JSON") // what is right says describe

func setText(into reflect.Value, text string) error {
	return into.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func setBool(into reflect.Value, text string) error {
	if text != "true" && text != "false" {
		return strconv.ErrSyntax
	}
	into.SetBool(text == "true")
	return nil
}

func setInt(into reflect.Value, text string) error {
	number, err := strconv.ParseInt(text, 10, into.Type().Bits())
	into.SetInt(number)
	return whole(err, text)
}

func setUint(into reflect.Value, text string) error {
	number, err := strconv.ParseUint(text, 10, into.Type().Bits())
	into.SetUint(number)
	return whole(err, text)
}

func setFloat(into reflect.Value, text string) error {
	number, err := strconv.ParseFloat(text, into.Type().Bits())
	into.SetFloat(number)
	return whole(err, text)
}

// whole returns err, or that the text is no number as JSON writes them: +1, 0x1p3 and NaN
// are numbers to Go alone.
func whole(err error, text string) error {
	if !json.Valid([]byte(text)) || strings.TrimSpace(text) != text {
		return errNumber
	}
	return err
}

// parse reads the part of the URL after the question mark, and returns the struct.
func (q question) parse(raw string) (any, error) {
	given, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("the parameters are not well-formed: " + err.Error())
	}
	value := reflect.New(q.goType).Elem()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p, known := q.parameters[name]
		if !known {
			return nil, badParameter(name, "there is no such parameter; there are: "+names(q.parameters))
		}
		if err := p.read(value.FieldByIndex(p.index), given[name]); err != nil {
			return nil, badParameter(name, err.Error())
		}
	}
	return value.Interface(), nil
}

func (p parameter) read(into reflect.Value, texts []string) error {
	if len(texts) > 1 && !p.many {
		return errors.New("it is given twice")
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return errors.New("it is not UTF-8")
		}
		one := into
		if p.many {
			one = reflect.New(into.Type().Elem()).Elem()
		}
		if err := p.set(one, text); err != nil {
			return badValue(err, one.Type())
		}
		if p.many {
			into.Set(reflect.Append(into, one))
		}
	}
	return nil
}

func badValue(err error, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("it is out of range, it is to be %s", describe(t))
	case errors.Is(err, strconv.ErrSyntax), errors.Is(err, errNumber):
		return fmt.Errorf("it is to be %s", describe(t))
	default:
		return fmt.Errorf("it is to be %s: %w", describe(t), err)
	}
}

func badParameter(name, detail string) *Problem {
	return malformed("a parameter is malformed", FieldError{Parameter: clip(name), Detail: clip(detail)})
}
