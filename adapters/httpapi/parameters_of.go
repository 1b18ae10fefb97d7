package httpapi

import (
	"encoding"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"sync"
)

// known are the questions that have been asked, by their type.
var known sync.Map // of reflect.Type to question

func questionOf(t reflect.Type) (question, error) {
	if q, ok := known.Load(t); ok {
		return q.(question), nil
	}
	q, err := newQuestion(t)
	if err == nil {
		known.Store(t, q)
	}
	return q, err
}

// parametersOf writes a question as [Queries] reads it. Zero values are left out.
func parametersOf(asked any) (url.Values, error) {
	if asked == nil {
		return nil, errors.New("the question is nil")
	}
	q, err := questionOf(reflect.TypeOf(asked))
	if err != nil {
		return nil, err
	}
	from := reflect.New(q.goType).Elem() // so that methods of pointers can be called
	from.Set(reflect.ValueOf(asked))
	values := url.Values{}
	for name, p := range q.parameters {
		texts, err := p.texts(from.FieldByIndex(p.index))
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		if len(texts) > 0 {
			values[name] = texts
		}
	}
	return values, nil
}

// texts returns the values of the parameter; none for a zero one.
func (p parameter) texts(from reflect.Value) (texts []string, err error) {
	if from.IsZero() {
		return nil, nil
	}
	if !p.many {
		text, err := textOf(from)
		return []string{text}, err
	}
	for n := range from.Len() {
		text, err := textOf(from.Index(n))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

var errNil = errors.New("a nil within a value cannot be said")

// textOf writes one value, as the setter of its type reads it.
func textOf(from reflect.Value) (string, error) {
	switch t := from.Type(); {
	case readsText(t):
		writes, ok := reflect.TypeAssert[encoding.TextMarshaler](from.Addr())
		if !ok {
			return "", fmt.Errorf("a %s reads text and does not write it", t)
		}
		text, err := writes.MarshalText()
		return string(text), err
	case t.Kind() == reflect.Pointer && from.IsNil():
		return "", errNil
	case t.Kind() == reflect.Pointer:
		return textOf(from.Elem())
	case t.Kind() == reflect.String:
		return from.String(), nil
	case t.Kind() == reflect.Bool:
		return strconv.FormatBool(from.Bool()), nil
	case from.CanInt():
		return strconv.FormatInt(from.Int(), 10), nil
	case from.CanUint():
		return strconv.FormatUint(from.Uint(), 10), nil
	default: // newParameter knows no others
		text := strconv.FormatFloat(from.Float(), 'g', -1, t.Bits())
		return text, whole(nil, text) // NaN and infinities are no numbers of JSON
	}
}
