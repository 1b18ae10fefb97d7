// Package jsonschematest has Go types of every shape that JSON knows, random ones too, and random
// values of them, for the tests of what reads and describes JSON.
package jsonschematest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"time"
)

// Shapes are the types of this package that a document could start at.
var Shapes = []reflect.Type{
	reflect.TypeFor[Scalars](), reflect.TypeFor[Nilable](), reflect.TypeFor[Keys](), reflect.TypeFor[Order](),
	reflect.TypeFor[Twins](), reflect.TypeFor[Tree](), reflect.TypeFor[Nest](), reflect.TypeFor[Deep](),
	reflect.TypeFor[Texts](), reflect.TypeFor[Page[Inner]](), reflect.TypeFor[[]Inner](), reflect.TypeFor[*Inner](),
}

// Schemas are those of the types that do not say themselves what they are.
var Schemas = map[reflect.Type]json.RawMessage{
	reflect.TypeFor[Told](): json.RawMessage(`{"type":"array","items":{"type":"integer"}}`),
}

type (
	// Scalars has fields that need no definition of their own.
	Scalars struct {
		Bool       bool
		Text       string `json:"text"`
		Small      int8
		Big        int64
		Word       uint
		Ratio      float32
		Quoted     int64   `json:",string"`
		MaybeQuote *uint16 `json:"maybe_quote,string"`
		Number     json.Number
		MaybeExact *json.Number `json:",string"`
		_          int
		Skipped    string `json:"-"`
	}

	// Legacy has what the second version of encoding/json does not read as the first one does.
	Legacy struct {
		Dash    int `json:"-,"`  //nolint:staticcheck // it is the case
		BadName int `json:"a'b"` //nolint:staticcheck // it is the case
	}

	// Nilable has fields that may be nil, empty or left out.
	Nilable struct {
		Pointer *int
		Slice   []string
		Map     map[string]int
		Bytes   []byte
		Any     any
		Omitted struct{ A []int } `json:"omitted,omitzero"`
		Short   *int              `json:",omitempty"`
		Few     []int             `json:",omitempty"`
		Never   Inner             `json:",omitempty"` //nolint:modernize // that it has no effect is the case
		Pair    [2]bool
		Digest  [4]byte
	}

	// Inner stands inside of others.
	Inner struct{ Cents int64 }

	// Keys has maps with every kind of key.
	Keys struct {
		ByNumber map[int16]Inner
		ByWord   map[uint8]string
		ByID     map[UUID]bool
		ByName   map[Name]bool
	}

	// Name is a text of its own.
	Name string

	// Order embeds, by value and by pointer, exported and not, and hides a field.
	Order struct {
		Base
		*Shipping
		unexported
		Named Inner
		Inner `json:"inner"`
		Note  string
	}
	// Base is embedded.
	Base struct{ ID, Note string }
	// Shipping is embedded by a pointer.
	Shipping   struct{ Street, Zip string }
	unexported struct{ Promoted int }

	// Twins has two fields of one name on one level: JSON sees neither.
	Twins struct {
		Left
		Right
	}
	// Left is one of the twins.
	Left struct{ Side, OnlyLeft int }
	// Right is the other.
	Right struct{ Side, OnlyRight int }

	// Tree contains itself.
	Tree struct {
		Value    int
		Children []Tree
		Parent   *Tree `json:",omitempty"`
	}
	// Nest is a list of itself.
	Nest []Nest
	// Deep is a map of itself.
	Deep map[string]Deep

	// Texts has types that say themselves how they are written.
	Texts struct {
		At      time.Time
		ID      UUID
		MaybeID *UUID
		Address netip.Addr
		ULID    ULID
		Raw     json.RawMessage `json:",omitempty"`
		Money   Money
		Odd     Odd
		Told    Told
	}

	// Page is generic.
	Page[T any] struct {
		Items []T
		Next  string `json:",omitempty"`
	}

	// Money says by itself what its JSON is.
	Money struct{ cents int64 }
	// Odd does not.
	Odd struct{ n int }
	// Told is described by the program.
	Told struct{ n int }
	// UUID is written as one.
	UUID [16]byte
	// ULID is written as text of another form.
	ULID [16]byte
)

// MarshalText implements [encoding.TextMarshaler].
func (u UUID) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *UUID) UnmarshalText(text []byte) error {
	return (*ULID)(u).UnmarshalText(bytes.ReplaceAll(text, []byte("-"), nil))
}

// MarshalText implements [encoding.TextMarshaler].
func (u ULID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%X", u[:]), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *ULID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(u)) {
		return fmt.Errorf("%q has not the length of an id", text)
	}
	_, err := hex.Decode(u[:], text)
	return err
}

// JSONSchema says what MarshalJSON writes.
func (Money) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"string","pattern":"^-?[0-9]+$"}`)
}

// MarshalJSON implements [json.Marshaler].
func (m Money) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(m.cents)) }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Money) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	_, err := fmt.Sscan(digits, &m.cents)
	return err
}

// MarshalJSON implements [json.Marshaler].
func (o Odd) MarshalJSON() ([]byte, error) { return json.Marshal([]any{o.n, "odd"}) }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *Odd) UnmarshalJSON([]byte) error { return nil }

// MarshalJSON implements [json.Marshaler].
func (o Told) MarshalJSON() ([]byte, error) { return json.Marshal([]int{o.n}) }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *Told) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &[]*int{&o.n}) }
