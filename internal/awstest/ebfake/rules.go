package ebfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

type rule struct {
	arn, bus string
	pattern  pattern
	targets  map[string]*Queue
}

func (f *Fake) putRule(_ *http.Request, in struct{ Name, EventBusName, EventPattern string }) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := parsePattern(in.EventPattern)
	if err != nil {
		return nil, &fault{"InvalidEventPatternException", err.Error()}
	}
	r := f.rules[in.Name]
	if r == nil {
		r = &rule{targets: map[string]*Queue{}}
		f.rules[in.Name] = r
	}
	r.bus, r.pattern = cmp.Or(in.EventBusName, "default"), p
	r.arn = arns + "rule/" + r.bus + "/" + in.Name
	return map[string]string{"RuleArn": r.arn}, nil
}

func (f *Fake) putTargets(_ *http.Request, in struct {
	Rule    string
	Targets []struct{ ID, Arn string }
},
) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rules[in.Rule]
	if r == nil {
		return nil, &fault{"ResourceNotFoundException", "there is no rule " + in.Rule}
	}
	for _, target := range in.Targets {
		queue := f.queues[target.Arn[strings.LastIndex(target.Arn, ":")+1:]]
		if queue == nil {
			return nil, &fault{"ResourceNotFoundException", "there is no queue " + target.Arn}
		}
		r.targets[target.ID] = queue
	}
	return map[string]any{"FailedEntryCount": 0, "FailedEntries": []any{}}, nil
}

// pattern is an event pattern: an object of the same shape as the events, with lists of what may be there.
type pattern map[string]any

func parsePattern(text string) (p pattern, err error) {
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, err
	}
	return p, checkPattern(p)
}

func checkPattern(p map[string]any) error {
	for name, want := range p {
		switch want := want.(type) {
		case map[string]any:
			if err := checkPattern(want); err != nil {
				return err
			}
		case []any:
			for _, one := range want {
				if of, ok := one.(map[string]any); ok && of["prefix"] == nil && of["exists"] == nil {
					return fmt.Errorf("%s: the fake knows prefix and exists only", name)
				}
			}
		default:
			return fmt.Errorf("%s: want a list or an object", name)
		}
	}
	return nil
}

func (p pattern) matches(event Event) bool {
	text, _ := json.Marshal(event) //nolint:errchkjson // texts and a time: it cannot fail
	var fields map[string]any
	return json.Unmarshal(text, &fields) == nil && matchesAll(p, fields)
}

func matchesAll(p, fields map[string]any) bool {
	for name, want := range p {
		value, there := fields[name]
		if inner, ok := want.(map[string]any); ok {
			object, _ := value.(map[string]any)
			if !matchesAll(inner, object) {
				return false
			}
			continue
		}
		if !matchesAny(want.([]any), value, there) {
			return false
		}
	}
	return true
}

func matchesAny(wants []any, value any, there bool) bool {
	for _, want := range wants {
		of, isRule := want.(map[string]any)
		if !isRule {
			if there && reflect.DeepEqual(want, value) {
				return true
			}
			continue
		}
		if exists, ok := of["exists"].(bool); ok && exists == there {
			return true
		}
		text, isText := value.(string)
		if prefix, ok := of["prefix"].(string); ok && isText && strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
