package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// AppendUntilKilled is what each process does that start starts for [CheckInlineWriters]: it
// appends through a store that applies two views and a handler.
func AppendUntilKilled[Tx any](ctx context.Context, p InlineParts[Tx]) error {
	s, err := p.Open(ctx, p.counted())
	if err != nil {
		return err
	}
	errs := together(8, func(w int) error {
		for {
			events := []any{counted{rand.Int64N(100)}, uncounted{}, counted{1}}[:1+rand.IntN(3)]
			_, err := Parts{s.Store, s.Sink}.append(ctx, fmt.Sprintf("s%d", rand.IntN(10)), events...)
			if err != nil && !errors.Is(err, eventstore.ErrStoreBusy) && !errors.Is(err, eventstore.ErrOutcomeUnknown) {
				return fmt.Errorf("writer %d: %w", w, err)
			}
		}
	})
	return errors.Join(errs...)
}

// counted are two views, and a handler if there are counters.
func (p InlineParts[Tx]) counted() projection.Inline[Tx] {
	inline := p.tallies()
	if p.Add == nil {
		return inline
	}
	inline.Handlers = append(inline.Handlers, p.counting())
	return inline
}
