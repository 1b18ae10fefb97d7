package postgres

import (
	"regexp"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// DefaultSchema is where a store lives unless its options say otherwise.
const DefaultSchema = "leftfold"

// schema is the checked name of a store's schema. It is also the name of the channel on
// which the store notifies.
type schema string

var (
	validSchema = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,47}$`)
	schemaWord  = regexp.MustCompile(`'leftfold'|\bleftfold\b`)
)

// newSchema checks the name: it is written into statements, so it must be one that means
// nothing else, and short enough that Postgres does not cut it.
func newSchema(name string) (schema, error) {
	switch {
	case name == "":
		return DefaultSchema, nil
	case !validSchema.MatchString(name):
		return "", &eventstore.InvalidError{What: "schema", Value: name, Reason: "want at most 48 of a-z, 0-9 and _, the first no digit"}
	case strings.HasPrefix(name, "pg_"):
		return "", &eventstore.InvalidError{What: "schema", Value: name, Reason: "names that start with pg_ are Postgres's own"}
	}
	return schema(name), nil
}

// in returns the text of one of our SQL files for the schema.
func (s schema) in(text string) string {
	return schemaWord.ReplaceAllStringFunc(text, func(word string) string {
		if word == "'leftfold'" {
			return "'" + string(s) + "'"
		}
		return s.quoted()
	})
}

// quoted returns the name as an identifier: it may be a reserved word.
func (s schema) quoted() string { return `"` + string(s) + `"` }
