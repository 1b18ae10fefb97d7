package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// template is a parsed CloudFormation template: maps, lists and scalars. A function such as
// !GetAtt A.B is the map {"Fn::GetAtt": "A.B"}, as CloudFormation's long form has it.
type template map[string]any

var names = []string{"container", "eventbridge", "kinesis-store", "network", "serverless"}

func load(t testing.TB, name string) template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("cloudformation", name+".yaml"))
	require.NoError(t, err)
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &node))
	parsed, ok := value(t, node.Content[0]).(map[string]any)
	require.True(t, ok)
	return parsed
}

func value(t testing.TB, node *yaml.Node) any {
	t.Helper()
	if strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!") {
		plain := *node
		plain.Tag = ""
		name := strings.TrimPrefix(node.Tag, "!")
		if name != "Ref" && name != "Condition" {
			name = "Fn::" + name
		}
		return map[string]any{name: value(t, &plain)}
	}
	switch node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			m[node.Content[i].Value] = value(t, node.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range node.Content {
			list = append(list, value(t, item))
		}
		return list
	default:
		var v any
		require.NoError(t, node.Decode(&v))
		return v
	}
}

// at follows a path of keys and indexes; nil if it leads nowhere.
func at(v any, path ...any) any {
	if t, ok := v.(template); ok {
		v = map[string]any(t)
	}
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

// resource is one of a template.
type resource struct {
	name string
	body map[string]any
}

func (r resource) property(path ...any) any {
	return at(r.body["Properties"], path...)
}

// every returns the resources of a type, sorted; of all types if it is empty.
func (t template) every(kind string) []resource {
	var found []resource
	all, _ := t["Resources"].(map[string]any)
	for name, body := range all {
		if body, ok := body.(map[string]any); ok && (kind == "" || body["Type"] == kind) {
			found = append(found, resource{name, body})
		}
	}
	slices.SortFunc(found, func(a, b resource) int { return strings.Compare(a.name, b.name) })
	return found
}

// list returns v as a list: a single thing is a list of one, nothing is an empty one.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// walk calls visit for every value with the keys that lead to it.
func walk(v any, path string, visit func(path string, v any)) {
	visit(path, v)
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			walk(inner, path+"/"+key, visit)
		}
	case []any:
		for i, inner := range v {
			walk(inner, fmt.Sprintf("%s/%d", path, i), visit)
		}
	}
}
