package jsonschema_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// The shapes that the rules of encoding/json tell apart.
type (
	Scalars struct {
		Bool       bool
		Text       string `json:"text"`
		Small      int8
		Big        int64
		Word       uint
		Ratio      float32
		Quoted     int64   `json:",string"`
		MaybeQuote *uint16 `json:"maybe_quote,string"`
		hidden     int
		Skipped    string `json:"-"`
		Dash       int    `json:"-,"`
		BadName    int    `json:"a'b"`
	}

	Nilable struct {
		Pointer *int
		Slice   []string
		Map     map[string]int
		Bytes   []byte
		Any     any
		Omitted struct{ A []int } `json:"omitted,omitzero"`
		Short   *int              `json:",omitempty"`
		Few     []int             `json:",omitempty"`
		Never   Inner             `json:",omitempty"`
		Pair    [2]bool
		Digest  [4]byte
	}

	Inner struct{ Cents int64 }

	Keys struct {
		ByNumber map[int16]Inner
		ByWord   map[uint8]string
		ByID     map[UUID]bool
		ByName   map[Name]bool
	}

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
	Base       struct{ ID, Note string }
	Shipping   struct{ Street, Zip string }
	unexported struct{ Promoted int }

	// Twins has two fields of one name on one level: JSON sees neither.
	Twins struct {
		Left
		Right
	}
	Left  struct{ Side, OnlyLeft int }
	Right struct{ Side, OnlyRight int }

	Tree struct {
		Value    int
		Children []Tree
		Parent   *Tree `json:",omitempty"`
	}
	Nest []Nest
	Deep map[string]Deep

	Texts struct {
		At      time.Time
		ID      UUID
		MaybeID *UUID
		Address netip.Addr
		ULID    ULID
		Raw     json.RawMessage `json:",omitempty"`
		Number  json.Number
		Money   Money
		Odd     Odd
		Told    Told
	}

	Page[T any] struct {
		Items []T
		Next  string `json:",omitempty"`
	}

	// Amount says by itself what its JSON is.
	Money struct{ cents int64 }
	// Odd does not.
	Odd struct{ n int }
	// Told is described by the program.
	Told struct{ n int }
	UUID [16]byte
	ULID [16]byte
)

func (u UUID) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}

func (u *UUID) UnmarshalText(text []byte) error {
	digits := strings.ReplaceAll(string(text), "-", "")
	if len(text) != 36 || len(digits) != 32 {
		return fmt.Errorf("%q is no UUID", text)
	}
	for n := range u {
		if _, err := fmt.Sscanf(digits[2*n:2*n+2], "%02x", &u[n]); err != nil {
			return err
		}
	}
	return nil
}

func (u ULID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%X", u[:]), nil }
func (u *ULID) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%X", u)
	return err
}

func (Money) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"string","pattern":"^-?[0-9]+$"}`)
}
func (m Money) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(m.cents)) }
func (m *Money) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	_, err := fmt.Sscan(digits, &m.cents)
	return err
}

func (o Odd) MarshalJSON() ([]byte, error)     { return json.Marshal([]any{o.n, "odd"}) }
func (o *Odd) UnmarshalJSON(text []byte) error { return nil }

func (o Told) MarshalJSON() ([]byte, error)     { return json.Marshal([]int{o.n}) }
func (o *Told) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &[]*int{&o.n}) }
