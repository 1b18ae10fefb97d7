// Package jsonschema describes Go types as JSON Schema: what encoding/json writes for their
// values, or what a strict decoder takes for them.
//
// What it promises:
//
//   - Whatever encoding/json writes for a value of a type fits the type's [Written] schema.
//   - What does not fit the [Taken] schema is refused by a decoder that refuses unknown fields,
//     names in another case, lists of the wrong length for an array, and a null where there is no
//     pointer, slice or map. One thing is not said: bytes may come as a list of numbers. The other
//     way round holds for shapes and not for every value: 1.0 is an integer to JSON Schema and
//     not to Go.
//   - A type that encodes itself is never guessed at. It says what it is with a method
//     JSONSchema() json.RawMessage, or the program says so for it; else its schema takes
//     anything and carries a note.
//   - The same types in the same order give the same bytes.
//
// The keywords are those that mean the same in draft 7 and in 2020-12, and a reference stands
// alone, so that the same schemas serve AsyncAPI 3.0 and OpenAPI 3.1.
package jsonschema
