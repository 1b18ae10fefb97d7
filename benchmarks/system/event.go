package system

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// EventType is the type of every event. Peers that derive it from the Go type say "OrderPlaced".
const EventType = "order.placed"

// OrderPlaced is the payload of every event, 205 bytes of JSON.
type OrderPlaced struct {
	Ref      int64    `json:"ref"`
	OrderID  string   `json:"order_id"`
	Customer string   `json:"customer"`
	Email    string   `json:"email"`
	Amount   int      `json:"amount"`
	Currency string   `json:"currency"`
	Items    []string `json:"items"`
	Note     string   `json:"note"`
}

// Event is an event to append, in the two forms that stores ask for. The bytes are made
// before the clock starts for an append, so encoding counts only for stores that do it
// themselves.
type Event struct {
	// Ref tells events apart, whatever of an event a store hands to its readers. Each writer's
	// rise; see NewRef.
	Ref   int64
	Order OrderPlaced
	Data  []byte // the JSON of Order
}

// Metadata is that of every event, 53 bytes of JSON, where the store has a place for it.
var Metadata = []byte(`{"correlation_id":"0192f7a4c1e24d37","actor":"u-471"}`)

// MetadataMap is Metadata for stores that want a map.
var MetadataMap = map[string]string{"correlation_id": "0192f7a4c1e24d37", "actor": "u-471"}

// firstRef makes every ref 16 digits long, so that every payload has the same length.
const (
	firstRef      = 1_000_000_000_000_000
	refsPerWriter = 1_000_000_000
	refDigits     = 16
)

// NewRef returns the ref of a writer's nth event.
func NewRef(writer int, nth int64) int64 {
	return firstRef + int64(writer)*refsPerWriter + nth
}

// RefWriter returns the writer of a ref.
func RefWriter(ref int64) int { return int((ref - firstRef) / refsPerWriter) }

var template, templateJSON = func() (OrderPlaced, []byte) {
	order := OrderPlaced{
		Ref: firstRef, OrderID: "o-2026-000815", Customer: "ada.lovelace", Email: "ada@example.com",
		Amount: 12_999, Currency: "EUR", Items: []string{"lamp-17", "desk-4", "chair-23"}, Note: "leave it at the door",
	}
	text, err := json.Marshal(order)
	if err != nil {
		panic(err) // a struct of strings and numbers always encodes
	}
	return order, text
}()

var refKey = []byte(`"ref":`)

// NewEvent returns the event with the ref.
func NewEvent(ref int64) Event {
	order := template
	order.Ref = ref
	data := bytes.Clone(templateJSON)
	_ = strconv.AppendInt(data[:len(`{"ref":`)], ref, 10) // overwrites the template's digits
	return Event{Ref: ref, Order: order, Data: data}
}

// RefOf finds the ref in a payload as a store returns it. JSONB has its own order of
// keys and its own blanks.
func RefOf(data []byte) (int64, error) {
	_, rest, found := bytes.Cut(data, refKey)
	rest = bytes.TrimLeft(rest, " ")
	if !found || len(rest) < refDigits {
		return 0, fmt.Errorf("no ref in the payload %q", data)
	}
	return strconv.ParseInt(string(rest[:refDigits]), 10, 64)
}
