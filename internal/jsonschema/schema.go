package jsonschema

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Schema is one JSON Schema. The zero Schema takes anything.
type Schema struct {
	Ref             string      `json:"$ref,omitempty"`
	Type            types       `json:"type,omitempty"`
	Description     string      `json:"description,omitempty"`
	Format          string      `json:"format,omitempty"`
	ContentEncoding string      `json:"contentEncoding,omitempty"`
	Pattern         string      `json:"pattern,omitempty"`
	Minimum         json.Number `json:"minimum,omitempty"`
	Maximum         json.Number `json:"maximum,omitempty"`
	AnyOf           []*Schema   `json:"anyOf,omitempty"`
	Items           *Schema     `json:"items,omitempty"`
	MinItems        *int        `json:"minItems,omitempty"`
	MaxItems        *int        `json:"maxItems,omitempty"`
	PropertyNames   *Schema     `json:"propertyNames,omitempty"`
	Properties      *Properties `json:"properties,omitempty"`
	Required        []string    `json:"required,omitempty"`
	// Additional is the schema of the properties without a name: nil takes any.
	Additional *Schema `json:"additionalProperties,omitempty"`

	given     json.RawMessage // by the type or the program; nothing else is set then
	never     bool            // the schema that takes nothing
	takesNull bool
}

// MarshalJSON writes what was given as it was given.
func (s *Schema) MarshalJSON() ([]byte, error) {
	type plain Schema
	switch {
	case s.never:
		return []byte("false"), nil
	case s.given != nil:
		return s.given, nil
	default:
		return marshal((*plain)(s))
	}
}

// orNull returns the schema that takes null as well.
func (s *Schema) orNull() *Schema {
	switch {
	case s.takesAnything() || s.takesNull:
		return s
	case s.Type == nil:
		return &Schema{AnyOf: []*Schema{s, {Type: types{"null"}}}, takesNull: true}
	default:
		with := *s
		with.Type, with.takesNull = append(slices.Clone(s.Type), "null"), true
		return &with
	}
}

func (s *Schema) takesAnything() bool {
	return s.Ref == "" && s.Type == nil && s.AnyOf == nil && s.given == nil
}

// types is one type, or several.
type types []string

func (t types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Properties are schemas by name, in an order that is kept.
type Properties struct {
	names  []string
	byName map[string]*Schema
}

// Names returns the names, in order.
func (p *Properties) Names() []string { return slices.Clone(p.names) }

// Get returns the schema of the name; nil if it has none.
func (p *Properties) Get(name string) *Schema { return p.byName[name] }

func (p *Properties) put(name string, s *Schema) {
	if p.byName == nil {
		p.byName = map[string]*Schema{}
	}
	p.names = append(p.names, name)
	p.byName[name] = s
}

// MarshalJSON writes an object in the order of the names.
func (p *Properties) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for n, name := range p.names {
		if n > 0 {
			out.WriteByte(',')
		}
		for _, part := range []any{name, p.byName[name]} {
			encoded, err := marshal(part)
			if err != nil {
				return nil, err
			}
			out.Write(encoded)
			if part == any(name) {
				out.WriteByte(':')
			}
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// marshal leaves < and > readable; these documents are no HTML.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(out.Bytes()), err
}

// Document writes a document for people to read and for machines to compare: indented, with a
// line's end, and with < and > as they are.
func Document(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return out.Bytes(), err
}

// Text returns the schema of strings that match the pattern; empty: of all.
func Text(pattern string) *Schema { return &Schema{Type: types{"string"}, Pattern: pattern} }

// ListOf returns the schema of lists.
func ListOf(items *Schema) *Schema { return &Schema{Type: types{"array"}, Items: items} }

// AtMost returns the schema of a list with at most n items.
func (s *Schema) AtMost(n int) *Schema {
	with := *s
	with.MaxItems = &n
	return &with
}
