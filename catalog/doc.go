// Package catalog writes down what a program is made of, from what it registers: its events as
// AsyncAPI 3.0, the types of its commands, events and answers as JSON Schema, and the whole as an
// event model for Mermaid. The HTTP side is httpapi.OpenAPI.
//
// Nothing is typed twice, so nothing can be forgotten: a [Catalog] is filled with the same values
// that the program runs with. It says what they say and guesses nothing. Which events a command
// appends is code, so the event model draws no arrow there.
//
// The documents depend on the catalog alone, byte for byte: keep them in the repository, and a test
// that compares them shows every change of a contract as a diff.
package catalog
