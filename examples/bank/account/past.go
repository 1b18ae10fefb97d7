package account

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/leftfold/leftfold/eventstore/codec"
)

// What the bank has written over the years, as it was written. The log still holds it, and nobody
// outside this file has to know: everything that reads an account sees the events of today.

// openedV1 is of the first year. The money that an account was opened with stood in the same
// event, as text, and everything was in euros.
type openedV1 struct {
	Name    string `json:"name"`
	Deposit string `json:"deposit"` // "12.50", or empty
}

// openedV2 has the deposit in an event of its own.
type openedV2 struct {
	Name string `json:"name"`
}

// Version 3 says the currency, and calls the name what it is.
var openedEvent = codec.Event[Opened]("account.opened", codec.Version(3),
	codec.UpcastEach(1, func(old openedV1) ([]any, error) {
		events := []any{openedV2{old.Name}}
		if old.Deposit != "" {
			cents, err := parseCents(old.Deposit)
			if err != nil {
				return nil, err
			}
			events = append(events, Deposited{Cents: cents, Note: "opening"})
		}
		return events, nil
	}),
	codec.Upcast(2, func(old openedV2) (Opened, error) { return Opened{old.Name, "EUR"}, nil }))

// bookedV1 was one event for both directions.
type bookedV1 struct {
	Cents int64  `json:"cents"` // below 0: money went out
	Text  string `json:"text"`
}

var bookedEvent = codec.Retired("account.booked", codec.UpcastEach(1, func(old bookedV1) ([]Event, error) {
	switch {
	case old.Cents > 0:
		return []Event{Deposited{old.Cents, old.Text}}, nil
	case old.Cents < 0 && old.Cents != math.MinInt64:
		return []Event{Withdrawn{-old.Cents, old.Text}}, nil
	case old.Cents == 0:
		return nil, nil // fees of nothing were booked for a while
	}
	return nil, fmt.Errorf("no account holds %d cents", old.Cents)
}))

// Nobody asks any more who looked at an account.
var viewedEvent = codec.Retired("account.viewed", codec.Drop(1))

// parseCents reads an amount such as 12.50.
func parseCents(text string) (int64, error) {
	whole, fraction, found := strings.Cut(text, ".")
	if !found || len(fraction) != 2 {
		return 0, fmt.Errorf("%q is not an amount such as 12.50", text)
	}
	cents, err := strconv.ParseUint(whole+fraction, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount such as 12.50", text)
	}
	return int64(cents), nil
}
