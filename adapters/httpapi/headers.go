package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Headers that HTTP does not know.
const (
	// HeaderKey makes a repeated command harmless. The value is the client's: a string in
	// quotes, as draft-ietf-httpapi-idempotency-key-header says, or the same without quotes;
	// 1 to [MaxKeyBytes] bytes of printable ASCII.
	HeaderKey = "Idempotency-Key"
	// HeaderPosition of a receipt is the token that makes a query see the command. Of an answer to
	// a query it has the tokens that make the next one no older, separated by commas.
	HeaderPosition = "Leftfold-Position"
	// HeaderAfter of a query requires the answer to include what tokens stand for: up to
	// [MaxTokens], separated by commas or in several lines. Of an answer to a question with
	// Prefer: handling=lenient it has, for each store that the answer was read from, the token
	// up to which the answer includes everything.
	HeaderAfter = "Leftfold-After"
)

// Limits of what headers may hold.
const (
	MaxKeyBytes = 255
	MaxTokens   = 64
)

func badHeader(name, detail string) *Problem {
	return malformed("a header is malformed", FieldError{Header: name, Detail: detail})
}

// only returns the header's value, and whether there is one. Two are a mistake: which one
// counts is not for us to choose.
func only(header http.Header, name string) (value string, found bool, err error) {
	switch values := header.Values(name); len(values) {
	case 0:
		return "", false, nil
	case 1:
		return strings.Trim(values[0], " \t"), true, nil
	default:
		return "", false, badHeader(name, "it is given twice")
	}
}

// key returns the Idempotency-Key, empty if there is none.
func key(header http.Header) (string, error) {
	value, found, err := only(header, HeaderKey)
	if err != nil || !found {
		return "", err
	}
	id, ok := unquoted(value)
	if !ok {
		return "", badHeader(HeaderKey, `want a string of printable ASCII in quotes, such as "8e03978e-40d5-43dd-bc93-6894a57f9324"`)
	}
	if id == "" || len(id) > MaxKeyBytes {
		return "", badHeader(HeaderKey, fmt.Sprintf("it has %d bytes, want 1 to %d", len(id), MaxKeyBytes))
	}
	return id, nil
}

// unquoted reads a string of RFC 9651 (3.3.3), or the same without quotes if it has none
// of the characters that separate things in headers.
func unquoted(value string) (string, bool) {
	inner, quoted := strings.CutPrefix(value, `"`)
	if !quoted {
		return value, isPrintable(value) && !strings.ContainsAny(value, ` "\,;`)
	}
	inner, closed := strings.CutSuffix(inner, `"`)
	if !closed || !isPrintable(inner) {
		return "", false
	}
	var text strings.Builder
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return "", false
		case '\\':
			i++
			if i == len(inner) || inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
		}
		text.WriteByte(inner[i])
	}
	return text.String(), true
}

func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

// etag is the ETag of a version.
func etag(v eventstore.Version) string { return `"` + strconv.FormatInt(int64(v), 10) + `"` }

// expected returns the version of If-Match, nil if there is none. The opposite is refused: a
// client that sends it and is not told takes it for granted.
func expected(header http.Header) (*eventstore.Version, error) {
	const name = "If-Match"
	const other = "If-None-Match"
	if len(header.Values(other)) > 0 {
		return nil, badHeader(other, `it is not for commands; use If-Match, "0" if nothing may exist yet`)
	}
	value, found, err := only(header, name)
	if err != nil || !found {
		return nil, err
	}
	number, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64)
	v := eventstore.Version(number)
	if err != nil || number < 0 || etag(v) != value {
		return nil, badHeader(name, `want one version in quotes, as the header ETag has it, such as "7"; "0" if nothing may exist yet`)
	}
	return &v, nil
}

// tokensIn returns the tokens of a header.
func tokensIn(header http.Header, name string) ([]eventstore.Token, error) {
	var tokens []eventstore.Token
	for _, line := range header.Values(name) {
		for text := range strings.SplitSeq(line, ",") {
			token, err := eventstore.ParseToken(strings.Trim(text, " \t"))
			if err != nil {
				return nil, badHeader(name, err.Error())
			}
			if tokens = append(tokens, token); len(tokens) > MaxTokens {
				return nil, badHeader(name, fmt.Sprintf("want at most %d tokens", MaxTokens))
			}
		}
	}
	return tokens, nil
}

// preferences are what Prefer says that we know.
type preferences struct {
	wait    time.Duration // in whole seconds
	waits   bool          // wait is the client's wish
	lenient bool          // about tokens of stores that the query does not follow
}

// preferred reads Prefer. As RFC 7240 wants it, what is not understood is no error: it is not
// preferred; and of two of one name the first counts.
func preferred(header http.Header) (p preferences) {
	seen := map[string]bool{}
	for _, line := range header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			name, value = strings.ToLower(strings.Trim(name, " \t")), strings.Trim(value, " \t\"")
			switch {
			case seen[name]:
			case name == "wait":
				seconds, err := strconv.ParseUint(value, 10, 31)
				p.wait, p.waits = time.Duration(seconds)*time.Second, err == nil
			case name == "handling":
				p.lenient = value == "lenient"
			}
			seen[name] = true
		}
	}
	return p
}

// applied is the header Preference-Applied.
func (p preferences) applied() string {
	var texts []string
	if p.waits {
		texts = append(texts, fmt.Sprintf("wait=%d", p.wait/time.Second))
	}
	if p.lenient {
		texts = append(texts, "handling=lenient")
	}
	return strings.Join(texts, ", ")
}
