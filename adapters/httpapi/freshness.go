package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// HeaderMissing of an answer says that it is stale: it has the tokens of what the request requires
// and the answer does not include. Only a request with Cache-Control: max-stale gets such an answer.
const HeaderMissing = "Leftfold-Missing"

// staleness is what a Cache-Control of a request says, in the terms of RFC 9111, 5.2.1. Negative:
// it does not say.
type staleness struct {
	maxAge   time.Duration
	maxStale time.Duration // beyond maxAge; anyAge: however stale
}

const (
	notSaid = time.Duration(-1)
	anyAge  = time.Duration(1<<31) * time.Second // the most that caches tell apart
)

// stalenessIn reads Cache-Control. Of two of one name the stricter counts. Directives that are not
// known are for others.
func stalenessIn(header http.Header) (staleness, error) {
	s := staleness{notSaid, notSaid}
	for _, line := range header.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, valued := strings.Cut(directive, "=")
			var said *time.Duration
			switch strings.ToLower(strings.Trim(name, " \t")) {
			case "max-age":
				said = &s.maxAge
			case "max-stale":
				said = &s.maxStale
			default:
				continue
			}
			age, ok := anyAge, !valued && said == &s.maxStale
			if valued {
				age, ok = deltaSeconds(strings.Trim(value, " \t\""))
			}
			if !ok {
				return s, badHeader("Cache-Control", "want whole seconds, such as max-age=5 or max-stale=60, or max-stale alone")
			}
			if *said == notSaid || age < *said {
				*said = age
			}
		}
	}
	return s, nil
}

// deltaSeconds reads whole seconds; more than can be told apart are as many.
func deltaSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return anyAge, true
	}
	return time.Duration(seconds) * time.Second, err == nil
}

// ask asks the bus for an answer that is fresh enough. What the bus cannot tell the age of is
// answered as if nothing was said of it, as RFC 9111 allows; browsers say it whenever a page is
// loaded again. The answer has no Age then.
func (s staleness) ask(ctx context.Context, bus *query.Bus, question any, options ...query.AskOption) (answer any, told query.Freshness, err error) {
	options = append(options, query.Tell(&told))
	if s.maxStale >= 0 {
		options = append(options, query.OrStale(&told))
	}
	answer, err = query.Ask[any](ctx, bus, question, append(options, s.bound()...)...)
	if errors.Is(err, query.ErrUnknownAge) && s.bound() != nil {
		answer, err = query.Ask[any](ctx, bus, question, options...)
	}
	if err == nil && told.Stale() && s.refuses(told) {
		err = later(nil, TypeNotCaughtUp, "the answer is staler than Cache-Control allows; ask again")
	}
	return answer, told, err
}

// bound is the age up to which an answer is fresh. Who bounds only how stale it may be wants the
// age to be known.
func (s staleness) bound() []query.AskOption {
	switch {
	case s.maxAge >= 0 && s.maxAge < anyAge:
		return []query.AskOption{query.MaxStale(s.maxAge)}
	case s.maxAge < 0 && s.maxStale >= 0 && s.maxStale < anyAge:
		return []query.AskOption{query.MaxStale(s.maxStale)}
	}
	return nil
}

// refuses reports whether a stale answer is staler than allowed, as far as is known.
func (s staleness) refuses(told query.Freshness) bool {
	if s.maxStale >= anyAge {
		return false
	}
	return told.AsOf.IsZero() || time.Since(told.AsOf) > max(s.maxAge, 0)+s.maxStale
}

// tellFreshness sets the headers that say how fresh an answer is.
func tellFreshness(header http.Header, told query.Freshness) {
	if len(told.After) > 0 {
		header.Set(HeaderPosition, tokenTexts(told.After))
	}
	if told.Stale() {
		header.Set(HeaderMissing, tokenTexts(told.Missing))
	}
	if !told.AsOf.IsZero() {
		age := max(time.Since(told.AsOf), 0)
		header.Set("Age", strconv.FormatInt(int64((age+time.Second-1)/time.Second), 10))
	}
}

func tokenTexts(tokens []eventstore.Token) string {
	texts := make([]string, len(tokens))
	for n, token := range tokens {
		texts[n] = token.String()
	}
	return strings.Join(texts, ", ")
}
