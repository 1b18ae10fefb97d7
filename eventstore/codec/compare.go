package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func strictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// compareJSON returns what one JSON text says and the other does not.
func compareJSON(data, again []byte, anyCase bool) ([]Loss, error) {
	stored, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	back, err := parseJSON(again)
	if err != nil {
		return nil, err
	}
	c := comparison{anyCase: anyCase}
	if !utf8.Valid(data) {
		c.lostf("", "it holds text that is not UTF-8, which comes back as U+FFFD")
	}
	c.compare("", stored, back)
	return c.losses, nil
}

func parseJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("there is more after the value")
	}
	return value, nil
}

type comparison struct {
	anyCase bool
	losses  []Loss
}

func (c *comparison) lostf(field, format string, args ...any) {
	c.losses = append(c.losses, Loss{strings.TrimPrefix(field, "."), fmt.Sprintf(format, args...)})
}

func (c *comparison) compare(field string, stored, back any) {
	switch stored := stored.(type) {
	case nil:
		return
	case map[string]any:
		if back, same := back.(map[string]any); same {
			c.compareMembers(field, stored, back)
			return
		}
	case []any:
		if back, same := back.([]any); same {
			c.compareElements(field, stored, back)
			return
		}
	}
	if !sameScalar(stored, back) && !(isEmpty(stored) && isEmpty(back)) {
		c.lostf(field, "%s comes back as %s", text(stored), text(back))
	}
}

func (c *comparison) compareMembers(field string, stored, back map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		value, found := c.member(back, name)
		switch {
		case found:
			c.compare(field+"."+name, stored[name], value)
		case !isEmpty(stored[name]):
			c.lostf(field+"."+name, "the type does not take it (%s)", text(stored[name]))
		}
	}
}

func (c *comparison) member(of map[string]any, name string) (value any, found bool) {
	if value, found = of[name]; found || !c.anyCase {
		return value, found
	}
	for _, other := range slices.Sorted(maps.Keys(of)) {
		if strings.EqualFold(other, name) {
			return of[other], true
		}
	}
	return nil, false
}

// compareElements allows for more than were stored: a Go array always has its length.
func (c *comparison) compareElements(field string, stored, back []any) {
	if len(stored) > len(back) {
		c.lostf(field, "it has %d elements, and %d come back", len(stored), len(back))
		return
	}
	for n := range stored {
		c.compare(fmt.Sprintf("%s[%d]", field, n), stored[n], back[n])
	}
}

// isEmpty reports whether the value is what a zero value is written as, or left out as.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		_, digits, _ := decimal(v.String())
		return digits == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, member := range v {
			if !isEmpty(member) {
				return false
			}
		}
		return true
	}
	return false
}

func sameScalar(stored, back any) bool {
	if a, is := stored.(json.Number); is {
		b, is := back.(json.Number)
		return is && sameNumber(a.String(), b.String())
	}
	if a, is := stored.(string); is {
		b, is := back.(string)
		return is && (a == b || sameTime(a, b))
	}
	a, is := stored.(bool)
	b, isToo := back.(bool)
	return is && isToo && a == b
}

func sameTime(a, b string) bool {
	at, err := time.Parse(time.RFC3339Nano, a)
	if err != nil {
		return false
	}
	bt, err := time.Parse(time.RFC3339Nano, b)
	return err == nil && at.Equal(bt)
}

func sameNumber(a, b string) bool {
	aNegative, aDigits, aExponent := decimal(a)
	bNegative, bDigits, bExponent := decimal(b)
	return aDigits == bDigits && (aDigits == "" || aNegative == bNegative && aExponent == bExponent)
}

// decimal returns a JSON number as ±0.digits × 10^exponent, where digits neither begins nor ends
// with 0. The digits of zero are none. It does not compute the number: 1e999999999 has one digit.
func decimal(number string) (negative bool, digits string, exponent int) {
	number, negative = strings.CutPrefix(number, "-")
	mantissa, power := number, ""
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		mantissa, power = number[:at], number[at+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent, _ = strconv.Atoi(power) // beyond an int it is the largest one
	exponent += len(whole)
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(whole) + len(fraction) - len(digits)
	return negative, strings.TrimRight(digits, "0"), exponent
}

// text returns a value as JSON, cut where it gets long.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	const most = 60
	if len(encoded) > most {
		return strings.ToValidUTF8(string(encoded[:most]), "") + "…"
	}
	return string(encoded)
}
