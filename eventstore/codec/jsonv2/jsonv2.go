// Package jsonv2 is a format for package codec: JSON by the coming encoding/json/v2
// (github.com/go-json-experiment/json), which decodes faster than encoding/json.
//
//	codec.Event[Placed]("order.placed", codec.In(jsonv2.Format{}))
//
// A log may hold payloads of both formats, and an event may change from one to the other in
// either direction: both write the same JSON for the same value, and each reads what the
// other has written. This package keeps the rules of encoding/json for durations, byte
// arrays, nil slices and maps, omitempty and the order of map keys, and differs where v1 would
// guess:
//
//   - A name of a payload matches a field only in the same case. encoding/json takes
//     {"OWNER":"ada"} for a field Owner; here it is a field that the type does not have, and
//     is ignored. Payloads from elsewhere may need it; those that a codec wrote do not, unless
//     a field's name has changed in case only since: give it its old name in a json tag.
//   - An object with the same name twice is an error. encoding/json takes the last one.
//   - Text that is not UTF-8 is an error, in both directions. encoding/json replaces it.
//   - The methods MarshalJSONTo and UnmarshalJSONFrom, where a type has them, come before
//     MarshalJSON and UnmarshalJSON.
//
// Such a payload is a [codec.DecodeError] that says where it is stored; nothing is skipped.
// Messages of errors differ too.
package jsonv2

import (
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/go-json-experiment/json/v1"

	"github.com/leftfold/leftfold/eventstore/codec"
)

// Format is the format; its zero value is ready for use.
type Format struct{}

var (
	_ codec.Format     = Format{}
	_ codec.LossFinder = Format{}
)

// options are those of encoding/json, as far as what is stored depends on them.
var options = json.JoinOptions(
	v1.DefaultOptionsV1(),
	json.MatchCaseInsensitiveNames(false),
	jsontext.AllowDuplicateNames(false),
	jsontext.AllowInvalidUTF8(false),
	// What does not matter to a value that is zero before, or to an object without a name twice,
	// and costs time: merging, and a second scan of each payload for the errors of v1.
	v1.MergeWithLegacySemantics(false),
	v1.ReportErrorsWithLegacySemantics(false),
)

// Marshal implements [codec.Format].
func (Format) Marshal(value any) ([]byte, error) {
	return json.Marshal(value, optionsFor(reflect.TypeOf(value)))
}

// Unmarshal implements [codec.Format].
func (Format) Unmarshal(data []byte, into any) error {
	return json.Unmarshal(data, into, optionsFor(reflect.TypeOf(into)))
}

// Losses implements [codec.LossFinder].
func (f Format) Losses(data []byte, value any) ([]codec.Loss, error) {
	return codec.JSONLosses(data, value, codec.JSONReading{
		Marshal: f.Marshal,
		Strict: func(data []byte, into any) error {
			return json.Unmarshal(data, into, optionsFor(reflect.TypeOf(into)), json.RejectUnknownMembers(true))
		},
	})
}

// ContentType implements [codec.ContentTyper].
func (Format) ContentType() string { return "application/json" }
