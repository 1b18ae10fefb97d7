package jsonschema

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is a member of the object that encoding/json makes of a struct.
type field struct {
	name, goName string
	t            reflect.Type
	tagged       bool
	quoted       bool // a number in a string
	mayBeAbsent  bool
	nilIsAbsent  bool
	index        []int
}

// fieldsOf returns the fields by the rules of encoding/json: those of embedded structs stand among
// the struct's own; of several with one name the shallowest counts, then the one whose tag
// says the name; if that leaves two, none does.
func fieldsOf(t reflect.Type) []field {
	byName := map[string][]field{}
	collect(t, byName)
	var all []field
	for _, rivals := range byName {
		if f, ok := dominant(rivals); ok {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return all
}

// embedded is a struct whose fields are to be collected.
type embedded struct {
	t        reflect.Type
	index    []int
	optional bool // reached through a pointer that may be nil
}

// collect goes through the levels of embedding. A struct embedded twice on one level hides its
// fields from each other, so it is visited each time there; below that level it is not met again.
func collect(t reflect.Type, byName map[string][]field) {
	visited := map[reflect.Type]bool{}
	for level := []embedded{{t: t}}; len(level) > 0; {
		var next []embedded
		for _, e := range level {
			if visited[e.t] {
				continue
			}
			for n := range e.t.NumField() {
				f, deeper := e.member(e.t.Field(n), n)
				if deeper != nil {
					next = append(next, *deeper)
				} else if f != nil {
					byName[f.name] = append(byName[f.name], *f)
				}
			}
		}
		for _, e := range level {
			visited[e.t] = true
		}
		level = next
	}
}

// member returns the field, or the struct that it embeds, or neither if JSON does not see it.
func (e embedded) member(sf reflect.StructField, n int) (*field, *embedded) {
	tag := sf.Tag.Get("json")
	base := sf.Type
	if base.Name() == "" && base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	if tag == "-" || !sf.IsExported() && (!sf.Anonymous || base.Kind() != reflect.Struct) {
		return nil, nil
	}
	name, rest, _ := strings.Cut(tag, ",")
	if !isValidName(name) {
		name = ""
	}
	index := append(slices.Clone(e.index), n)
	if name == "" && sf.Anonymous && base.Kind() == reflect.Struct {
		return nil, &embedded{base, index, e.optional || sf.Type.Kind() == reflect.Pointer}
	}
	f := &field{name: cmp.Or(name, sf.Name), goName: sf.Name, t: sf.Type, tagged: name != "", index: index}
	options := strings.Split(rest, ",")
	f.quoted = slices.Contains(options, "string") && isQuotable(base.Kind())
	f.nilIsAbsent = slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero")
	f.mayBeAbsent = e.optional || slices.Contains(options, "omitzero") ||
		slices.Contains(options, "omitempty") && mayBeEmpty(sf.Type)
	return f, nil
}

func dominant(rivals []field) (field, bool) {
	depth := func(f field) int { return len(f.index) }
	shallowest := depth(slices.MinFunc(rivals, func(a, b field) int { return cmp.Compare(depth(a), depth(b)) }))
	rivals = slices.DeleteFunc(rivals, func(f field) bool { return depth(f) > shallowest })
	if slices.ContainsFunc(rivals, func(f field) bool { return f.tagged }) {
		rivals = slices.DeleteFunc(rivals, func(f field) bool { return !f.tagged })
	}
	return rivals[0], len(rivals) == 1
}

// mayBeEmpty reports whether omitempty ever leaves a value of the type out.
func mayBeEmpty(t reflect.Type) bool {
	return t.Kind() != reflect.Struct && (t.Kind() != reflect.Array || t.Len() == 0)
}

func isQuotable(kind reflect.Kind) bool {
	return kind >= reflect.Bool && kind <= reflect.Float64 || kind == reflect.String
}

// isValidName: encoding/json ignores a name with other characters.
func isValidName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}
