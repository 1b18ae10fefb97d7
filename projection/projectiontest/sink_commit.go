package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

var commitClauses = []clause[projection.Sink]{
	sinkClause("a commit writes its rows and moves the checkpoint", func(ctx context.Context, s *stand) error {
		a, b := plainRow("a", 1, "one"), plainRow("b", 2, "two")
		return first(s.commit(ctx, put(a, b)...), s.has(ctx, a, b), s.stays(ctx))
	}),
	sinkClause("a commit without changes moves the checkpoint", func(ctx context.Context, s *stand) error {
		return first(s.commit(ctx), s.stays(ctx), s.has(ctx))
	}),
	sinkClause("a row is replaced as a whole", func(ctx context.Context, s *stand) error {
		full := plainRow("a", 1, "one")
		for n, value := range full.Values[:7] {
			full.Values[7+n] = value
		}
		bare := plainRow("a", 2, "two")
		return first(s.commit(ctx, put(full)...), s.has(ctx, full), s.commit(ctx, put(bare)...), s.has(ctx, bare))
	}),
	sinkClause("a deleted row is gone, and deleting what is not there changes nothing", func(ctx context.Context, s *stand) error {
		gone := projection.Change{Row: projection.Row{Key: "a"}, Deleted: true}
		b := plainRow("b", 2, "two")
		return first(s.commit(ctx, put(plainRow("a", 1, "one"), b)...), s.commit(ctx, gone), s.commit(ctx, gone), s.has(ctx, b))
	}),
	sinkClause("values come back as they were written", func(ctx context.Context, s *stand) error {
		for n, text := range []string{"", "a", "it's \"quoted\" %s \\ ; --", "päivää 👋 \u202e", strings.Repeat("x", 100_000), "line\nbreak\ttab"} {
			row := plainRow(fmt.Sprintf("k%d %s", n, text[:min(len(text), 20)]), int64(n), text)
			row.Values[4] = []byte{0, 1, 0xff, 0xfe, byte(n)}
			row.Values[6] = `{"b": 1, "a": [1.5e10, null, "\u0041"]}`
			if err := s.commit(ctx, put(row)...); err != nil {
				return err
			}
			got, err := s.Load(ctx, s.model, []string{row.Key})
			if err := first(err, same("row", got, []projection.Row{row})); err != nil {
				return err
			}
		}
		return nil
	}),
	sinkClause("the ends of every kind's range come back as they were written", func(ctx context.Context, s *stand) error {
		low, high := plainRow("low", math.MinInt64, ""), plainRow("high", math.MaxInt64, "")
		low.Values[2], high.Values[2] = -math.MaxFloat64, math.SmallestNonzeroFloat64
		low.Values[5], high.Values[5] = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
		return first(s.commit(ctx, put(high, low)...), s.has(ctx, high, low))
	}),
	sinkClause("load returns only what exists, however many keys are asked for", func(ctx context.Context, s *stand) error {
		var rows []projection.Row
		var keys []string
		for n := range 5_000 {
			rows = append(rows, plainRow(fmt.Sprintf("k%04d", n), int64(n), "x"))
			keys = append(keys, rows[n].Key, "no-"+rows[n].Key)
		}
		if err := s.commit(ctx, put(rows...)...); err != nil {
			return err
		}
		got, err := s.Load(ctx, s.model, keys)
		slices.SortFunc(got, func(a, b projection.Row) int { return strings.Compare(a.Key, b.Key) })
		return first(err, same("rows", got, rows))
	}),
	sinkClause("a commit from another checkpoint than the stored one is ErrStale and changes nothing", func(ctx context.Context, s *stand) error {
		a := plainRow("a", 1, "one")
		if err := s.commit(ctx, put(a)...); err != nil {
			return err
		}
		wrong := map[string]subscription.Checkpoint{}
		behind, ahead, anchor, fence, store := s.at, s.at, s.at, s.at, s.at
		behind.Anchor = eventstore.Anchor{}
		ahead.Anchor.Position++
		anchor.Anchor.EventID = eventstore.NewEventID()
		fence.Fence++
		store.Source.Incarnation++
		wrong["position behind"], wrong["position ahead"], wrong["anchor"], wrong["fence"], wrong["incarnation"] = behind, ahead, anchor, fence, store
		for what, from := range wrong {
			err := s.Commit(ctx, s.model, projection.Move{From: from, To: onward(s.at, 1)}, put(plainRow("a", 9, "no")))
			if err := first(is(what, err, subscription.ErrStale), s.stays(ctx), s.has(ctx, a)); err != nil {
				return err
			}
		}
		return nil
	}),
	sinkClause("a commit that cannot write one of its rows changes nothing", func(ctx context.Context, s *stand) error {
		a := plainRow("a", 1, "one")
		if err := s.commit(ctx, put(a)...); err != nil {
			return err
		}
		short := projection.Row{Key: "c", Values: []any{true}}
		err := s.Commit(ctx, s.model, projection.Move{From: s.at, To: onward(s.at, 1)}, put(plainRow("b", 2, "two"), short))
		if err == nil {
			return errors.New("a row with too few values was taken")
		}
		return first(s.stays(ctx), s.has(ctx, a))
	}),
	sinkClause("a commit under a context that has ended changes nothing", func(ctx context.Context, s *stand) error {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		err := s.Commit(ended, s.model, projection.Move{From: s.at, To: onward(s.at, 1)}, put(plainRow("a", 1, "one")))
		return first(is("commit", err, context.Canceled), s.stays(ctx), s.has(ctx))
	}),
	sinkClause("of rivals that commit from one checkpoint exactly one wins", func(ctx context.Context, s *stand) error {
		const rounds, rivals = 20, 8
		for range rounds {
			wins, err := race(ctx, s, rivals)
			if err != nil {
				return err
			}
			if err := same("winners", len(wins), 1); err != nil {
				return err
			}
			s.at = wins[0].To
			if err := first(s.stays(ctx), s.has(ctx, plainRow("a", s.at.Fence, "x"))); err != nil {
				return err
			}
		}
		return nil
	}),
	sinkClause("a commit wakes those who wait for a change", func(ctx context.Context, s *stand) error {
		changed := s.Changed()
		if changed == nil {
			return nil // the sink cannot tell; readers poll
		}
		if err := s.commit(ctx); err != nil {
			return err
		}
		select {
		case <-changed:
			return nil
		case <-ctx.Done():
			return errors.New("nobody was woken")
		}
	}),
}

// race lets rivals commit from one checkpoint, each under a fence of its own, and
// returns the moves that succeeded.
func race(ctx context.Context, s *stand, rivals int) (wins []projection.Move, err error) {
	var mu sync.Mutex
	var racing sync.WaitGroup
	for n := range rivals {
		racing.Go(func() {
			to := onward(s.at, 1)
			to.Fence = s.at.Fence + int64(n)
			move := projection.Move{From: s.at, To: to}
			commitErr := s.Commit(ctx, s.model, move, put(plainRow("a", to.Fence, "x")))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case commitErr == nil:
				wins = append(wins, move)
			case !errors.Is(commitErr, subscription.ErrStale):
				err = commitErr
			}
		})
	}
	racing.Wait()
	return wins, err
}
