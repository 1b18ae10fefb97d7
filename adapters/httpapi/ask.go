package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// AskRemote puts the question to the query of the name in another service and returns its answer.
// The question is a struct of what [Queries] takes as parameters. The answer is JSON; fields that R
// does not have are passed over, and numbers of no type keep their digits (json.Number).
//
// Within the handler of a [query.Ask] it is a reader: what that requires goes with the question
// (Leftfold-After), with the time that is left to wait (Prefer: wait, rounded up to whole seconds).
// The service leaves tokens of stores which its query does not follow to the other readers
// (Prefer: handling=lenient), and what the answer includes, as it tells in Leftfold-After, counts
// here, as that of a read model with the name of the query ([query.Include], [query.Reads]). A
// service that does not tell, and does not say that it was lenient (Preference-Applied), knows
// nothing of tokens: if any are required that is [eventstore.ErrForeignToken].
//
// Errors: what the service did not answer is a [*RemoteError]; the end of ctx is that of ctx.
func AskRemote[R any](ctx context.Context, client *Client, name string, question any) (R, error) {
	var answer, none R
	c := call{client, "ask " + name, name}
	parameters, err := parametersOf(question)
	if err != nil {
		return none, fmt.Errorf("%s: %w", c.what, err)
	}
	r, err := c.newRequest(ctx, http.MethodGet, queriesPath, parameters, nil)
	if err != nil {
		return none, err
	}
	required := distinct(query.Required(ctx))
	if err := demand(ctx, r.Header, required); err != nil {
		return none, fmt.Errorf("%s: %w", c.what, err)
	}
	got, err := c.send(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return none, fmt.Errorf("%s of %s: %w", name, redacted(client.URL), ctx.Err())
	case err != nil:
		return none, c.lost(got, err)
	case got.status != http.StatusOK:
		return none, c.unanswered(got, required)
	}
	if err := got.decodeInto(&answer); err != nil {
		return none, c.lost(got, err)
	}
	if err := c.include(ctx, got.header, required); err != nil {
		return none, c.lost(got, err)
	}
	return answer, nil
}

// distinct returns the tokens, each once: questions within questions require the same.
func distinct(tokens []eventstore.Token) (each []eventstore.Token) {
	for _, token := range tokens {
		if !slices.Contains(each, token) {
			each = append(each, token)
		}
	}
	return each
}

// demand writes what the outer question requires into the headers.
func demand(ctx context.Context, header http.Header, tokens []eventstore.Token) error {
	if len(tokens) > MaxTokens {
		return fmt.Errorf("the question requires %d tokens, and %s takes %d", len(tokens), HeaderAfter, MaxTokens)
	}
	if len(tokens) > 0 {
		header.Set(HeaderAfter, tokenTexts(tokens))
	}
	prefers := preferences{lenient: true}
	prefers.wait, prefers.waits = patience(ctx)
	prefers.wait = max(0, prefers.wait+time.Second-1)
	header.Set("Prefer", prefers.applied())
	return nil
}

// patience is how long the service may wait: as long as readers of the question may, and no longer
// than ctx has.
func patience(ctx context.Context) (time.Duration, bool) {
	wait, bounded := query.Patience(ctx)
	if deadline, ok := ctx.Deadline(); ok && (!bounded || time.Until(deadline) < wait) {
		return time.Until(deadline), true
	}
	return wait, bounded
}

// include lets count what the answer includes. A service that tells of less than it was asked for
// is not believed.
func (c call) include(ctx context.Context, header http.Header, required []eventstore.Token) error {
	included, err := tokensIn(header, HeaderAfter)
	newest, err2 := tokensIn(header, HeaderPosition)
	if err != nil || err2 != nil {
		return &uselessError{fmt.Errorf("what the answer includes cannot be read: %w", errors.Join(err, err2))}
	}
	if len(required) > 0 && len(included) == 0 && !strings.Contains(header.Get("Preference-Applied"), "handling=lenient") {
		return &uselessError{fmt.Errorf("%w: the service does not tell what its answer includes, nor that it leaves tokens to others (Prefer: handling=lenient)", eventstore.ErrForeignToken)}
	}
	for _, token := range included {
		for _, want := range required {
			if token.Store == want.Store && lacks(token, want) {
				return &query.NotCaughtUpError{Model: c.name, At: token.Position, Want: want, Err: errors.New("it answered all the same")}
			}
		}
	}
	query.Include(ctx, c.name, included...)
	for _, token := range newest {
		if slices.ContainsFunc(included, func(t eventstore.Token) bool { return t.Store == token.Store && !lacks(token, t) }) {
			query.Include(ctx, c.name, token)
		}
	}
	return nil
}

func lacks(token, want eventstore.Token) bool {
	return token.Incarnation != want.Incarnation || token.Position < want.Position
}

// unanswered is the error of a question that got a problem.
func (c call) unanswered(r received, required []eventstore.Token) error {
	e := c.failed(r)
	if e.Problem == nil {
		return e
	}
	if known, ok := queryMeanings[e.Problem.Type]; ok {
		e.Err, e.Retryable = known.err, known.retryable
	}
	switch e.Problem.Type {
	case TypeNotCaughtUp:
		late := &query.NotCaughtUpError{Model: c.name, Err: context.DeadlineExceeded}
		if len(required) > 0 {
			late.Want = required[0]
		}
		e.Err = late
	case TypeTimeout:
		e.Err = context.DeadlineExceeded
	}
	return e
}
