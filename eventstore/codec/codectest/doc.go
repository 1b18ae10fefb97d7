// Package codectest tests that a program reads what past builds have written, and writes what it
// always has.
//
// [Golden] keeps payloads of every schema version of every event in files, which are committed with
// the code. [Fuzz] looks for payloads on which an upcast panics.
package codectest
