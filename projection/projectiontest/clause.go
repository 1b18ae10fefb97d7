package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// clause is one rule as a sentence, and the check that a subject obeys it. A check
// returns what is wrong instead of failing a test, so that a planted bug can be shown
// to be caught.
type clause[S any] struct {
	rule  string
	check func(ctx context.Context, subject S) error
}

const clauseTimeout = 2 * time.Minute

func run[S any](t *testing.T, clauses []clause[S], open func(t testing.TB) S) {
	for _, c := range clauses {
		t.Run(c.rule, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), clauseTimeout)
			defer cancel()
			if err := c.check(ctx, open(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func same(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
	return nil
}

func is(what string, err, target error) error {
	if !errors.Is(err, target) {
		return fmt.Errorf("%s: got error %v, want %q", what, err, target)
	}
	return nil
}
