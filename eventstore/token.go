package eventstore

import (
	"fmt"
	"strconv"
	"strings"
)

// StoreID identifies a store for ever, through backup and restore. It is a UUID.
type StoreID [16]byte

// NewStoreID returns a fresh id, for a store that is being created.
func NewStoreID() StoreID { return StoreID(NewEventID()) }

// String returns the usual 36-character form.
func (id StoreID) String() string { return formatUUID(id) }

// Identity is a store and one life of it. A restored or promoted database gets a
// new incarnation, because positions of its last life may name other events now.
type Identity struct {
	Store       StoreID
	Incarnation int32
}

// Check reports whether a token can be compared with positions of this identity:
// nil, [ErrForeignToken] or [ErrDiverged].
func (i Identity) Check(t Token) error {
	if t.Store != i.Store {
		return fmt.Errorf("%w: token %s, store %s", ErrForeignToken, t, i.Store)
	}
	if t.Incarnation != i.Incarnation {
		return fmt.Errorf("%w: token %s, store is in incarnation %d", ErrDiverged, t, i.Incarnation)
	}
	return nil
}

// Token says how far a log had come: everything up to Position of one life of one
// store. A receipt carries the token that a reader needs to see what was written. It is no
// secret: it tells how many events there are.
type Token struct {
	Identity
	Position Position
}

// IsZero reports whether the token is unset.
func (t Token) IsZero() bool { return t == Token{} }

// String returns "<store>.<incarnation>.<position>", safe in headers and URLs.
func (t Token) String() string {
	return t.Store.String() + "." + strconv.Itoa(int(t.Incarnation)) + "." + strconv.FormatInt(int64(t.Position), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Token) UnmarshalText(text []byte) error {
	parsed, err := ParseToken(string(text))
	*t = parsed
	return err
}

// ParseToken reads what [Token.String] wrote. Anything else is an [InvalidError].
func ParseToken(text string) (Token, error) {
	bad := func(why string) (Token, error) {
		return Token{}, &InvalidError{What: "token", Value: text, Reason: why}
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return bad("want <store>.<incarnation>.<position>")
	}
	store, err := parseUUID(parts[0])
	if err != nil {
		return bad("the store is not a UUID")
	}
	incarnation, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil || incarnation < 1 {
		return bad("the incarnation is not a positive number")
	}
	position, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || position < 0 {
		return bad("the position is not a number")
	}
	return Token{Identity{store, int32(incarnation)}, Position(position)}, nil
}

// Anchor is a position together with the event that stands there. A reader that
// comes back with an anchor learns whether the log was rolled back under it: after
// a failover the position may exist again and name another event.
type Anchor struct {
	Position Position
	EventID  EventID
}

// String returns the anchor for errors and logs.
func (a Anchor) String() string {
	if a.Position == 0 {
		return "position 0"
	}
	return fmt.Sprintf("position %d (event %s)", a.Position, a.EventID)
}
