package jsonschematest

import "strings"

// Dangling returns the references of a parsed document that lead nowhere in it: a schema cannot
// check that.
func Dangling(document any) []string { return dangling(document, document) }

func dangling(document, part any) (all []string) {
	switch part := part.(type) {
	case []any:
		for _, element := range part {
			all = append(all, dangling(document, element)...)
		}
	case map[string]any:
		for name, value := range part {
			if to, isRef := value.(string); isRef && name == "$ref" && Follow(document, to) == nil {
				all = append(all, to)
			}
			all = append(all, dangling(document, value)...)
		}
	}
	return all
}

// Follow returns what a JSON pointer leads to in a parsed document, or nil. It may be in the form
// of a fragment, with # before it.
func Follow(document any, pointer string) any {
	for _, name := range strings.Split(pointer, "/")[1:] {
		object, _ := document.(map[string]any)
		document = object[strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")]
	}
	return document
}
