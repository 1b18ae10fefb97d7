package catalog

import (
	"fmt"
	"reflect"

	"github.com/leftfold/leftfold/internal/jsonschema"
)

// JSONSchemas returns a JSON Schema (2020-12) for each command, event, and answer of a query, by
// the name of a file for it: commands/order.place.json, events/order.placed.json,
// answers/order.get.json. Commands are as a strict reader takes them, without fields that their type
// does not have; events and answers are as they are written. Events whose payload is not
// JSON have none. A slash in a name is an underscore.
//
// Errors are those of [Catalog.AsyncAPI].
func (c Catalog) JSONSchemas() (map[string][]byte, error) {
	events, err := c.events()
	if err != nil {
		return nil, fmt.Errorf("JSON Schema: %w", err)
	}
	var roots []root
	for _, r := range c.Commands {
		roots = append(roots, root{"commands", r.Name, r.GoType, jsonschema.Taken})
	}
	for _, t := range events.Types() {
		if t.ContentType == "application/json" {
			roots = append(roots, root{"events", t.Name, t.GoType, jsonschema.Written})
		}
	}
	for _, r := range c.Queries {
		roots = append(roots, root{"answers", r.Name, r.Answer, jsonschema.Written})
	}
	files := map[string][]byte{}
	names := map[string]keys{"commands": {}, "events": {}, "answers": {}}
	for _, r := range roots {
		text, err := c.schemaFile(r)
		if err != nil {
			return nil, fmt.Errorf("JSON Schema of %q: %w", r.name, err)
		}
		files[r.folder+"/"+names[r.folder].of(r.name)+".json"] = text
	}
	return files, nil
}

// root is a type that a schema file starts at.
type root struct {
	folder, name string
	goType       reflect.Type
	side         jsonschema.Side
}

func (c Catalog) schemaFile(r root) ([]byte, error) {
	set := jsonschema.NewSet("#/$defs/", c.Schemas)
	schema, err := set.Of(r.goType, r.side)
	if err != nil {
		return nil, err
	}
	return jsonschema.Document(struct {
		Dialect     string                 `json:"$schema"`
		Title       string                 `json:"title"`
		AllOf       []*jsonschema.Schema   `json:"allOf"`
		Definitions *jsonschema.Properties `json:"$defs"`
	}{"https://json-schema.org/draft/2020-12/schema", r.name, []*jsonschema.Schema{schema}, set.Definitions()})
}
