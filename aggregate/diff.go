package aggregate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is a difference between two states, in their JSON.
type Change struct {
	// Path is a JSON pointer (RFC 6901), such as "/lines/0/quantity"; empty: the whole state.
	Path string
	// Old and New are the values there, nil where there is none.
	Old, New json.RawMessage
}

// String returns the change as "path: old -> new".
func (c Change) String() string {
	shown := func(value json.RawMessage) string {
		if value == nil {
			return "(none)"
		}
		return string(value)
	}
	return fmt.Sprintf("%s: %s -> %s", c.Path, shown(c.Old), shown(c.New))
}

// Diff returns what changed from one state to another, in the order of the paths' names; none if
// the states are the same. It compares them as JSON: fields that JSON leaves out are not seen, and
// a state that JSON cannot encode is an error. Elements of arrays are compared by their place.
func Diff[S any](before, after S) ([]Change, error) {
	was, err := asJSON(before)
	if err != nil {
		return nil, err
	}
	is, err := asJSON(after)
	if err != nil {
		return nil, err
	}
	return appendChanges(nil, "", &was, &is), nil
}

func asJSON(state any) (value any, err error) {
	encoded, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("compare states of %T: %w", state, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber() // every digit counts
	err = decoder.Decode(&value)
	return value, err
}

// appendChanges appends what changed at a path and below. A value that is not there is nil.
func appendChanges(all []Change, path string, was, is *any) []Change {
	if was != nil && is != nil {
		oldFields, wereFields := (*was).(map[string]any)
		newFields, areFields := (*is).(map[string]any)
		if wereFields && areFields {
			for _, name := range fieldNames(oldFields, newFields) {
				all = appendChanges(all, path+"/"+escapePointer(name), fieldOf(oldFields, name), fieldOf(newFields, name))
			}
			return all
		}
		oldList, wasList := (*was).([]any)
		newList, isList := (*is).([]any)
		if wasList && isList {
			for n := range max(len(oldList), len(newList)) {
				all = appendChanges(all, path+"/"+strconv.Itoa(n), elementOf(oldList, n), elementOf(newList, n))
			}
			return all
		}
	}
	old, fresh := textOf(was), textOf(is)
	if bytes.Equal(old, fresh) {
		return all
	}
	return append(all, Change{path, old, fresh})
}

func fieldNames(a, b map[string]any) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)
	return slices.Compact(all)
}

func fieldOf(fields map[string]any, name string) *any {
	value, there := fields[name]
	if !there {
		return nil
	}
	return &value
}

func elementOf(list []any, n int) *any {
	if n >= len(list) {
		return nil
	}
	return &list[n]
}

// textOf returns a value's JSON, with the names of objects sorted.
func textOf(value *any) json.RawMessage {
	if value == nil {
		return nil
	}
	encoded, err := json.Marshal(*value)
	if err != nil {
		panic(err) // it came from JSON
	}
	return encoded
}

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
