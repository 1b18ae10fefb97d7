// Package codec translates between Go values and stored events. It is the one place
// where bytes meet Go types.
//
// A [Definition] ties a Go type to the name under which its events are stored, and a
// [Set] holds the definitions that a program knows. Payloads are JSON (encoding/json),
// so its rules hold: a field the type does not have is ignored, an unexported field is
// not stored, and text that is not UTF-8 is replaced. What it would write and never read
// back, such as a field of an interface type, is refused when the set is made. [In] chooses
// another [Format] for an event: package jsonv2 has one that decodes faster, and package protobuf
// one for messages of protocol buffers.
//
// What it promises:
//
//   - A name is written in code and never derived from a Go type, so renaming a type
//     changes nothing stored.
//   - Within one set a name has one type and a type one name; anything else is an error
//     when the set is made, not when an event is met.
//   - Every older schema version has an [Upcast] to the next one, checked when the set is
//     made, so callers only ever see the current types. An old event may also stand for several
//     ([UpcastEach]) or for none ([Drop]), and one that is not written any more is [Retired].
//   - An event that cannot be decoded is an error that says where it is stored. It is
//     never skipped: a skipped event would be missing from a state without a trace.
//
// A field that is taken out of a type is ignored in old payloads, without a word. [Set.Losses] finds
// it; package schema asks that of a whole log, and package codectest keeps golden payloads of
// every version, so that a change is noticed before it is deployed.
//
// A Set does not change after it is made and may be used by many goroutines.
package codec
