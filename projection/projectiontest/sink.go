package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// RunSink checks the sinks that open returns against every clause of
// [projection.Sink]. Each call of open must return an empty sink and close it by
// t.Cleanup.
func RunSink(t *testing.T, open func(t testing.TB) projection.Sink) {
	run(t, sinkClauses, open)
}

// everyKind is a model with a column of every kind, required and nullable.
var everyKind = func() projection.Model {
	m := projection.Model{
		Generation: projection.Generation{Name: "every_kind", Version: 1},
		Hash:       "every_kind",
		Indexes:    []string{"a_int", "a_text", "a_float", "a_time", "a_bool", "a_bytes"},
	}
	for _, nullable := range []bool{false, true} {
		for _, kind := range []projection.Kind{projection.Bool, projection.Int, projection.Float, projection.Text, projection.Bytes, projection.Time, projection.JSON} {
			name := "a_" + string(kind)
			if nullable {
				name = "maybe_" + string(kind)
			}
			m.Columns = append(m.Columns, projection.Column{Name: name, Kind: kind, Nullable: nullable})
		}
	}
	return m
}()

// plainRow is a row of everyKind whose nullable columns are nil.
func plainRow(key string, number int64, text string) projection.Row {
	at := time.UnixMicro(number).UTC()
	return projection.Row{Key: key, Values: []any{
		number%2 == 0, number, float64(number) / 4, text, []byte(text), at, "{}",
		nil, nil, nil, nil, nil, nil, nil,
	}}
}

var source = eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}

// stand is a sink with a model opened in it, and where its checkpoint stands.
type stand struct {
	projection.Sink
	model projection.Model
	at    subscription.Checkpoint
}

func opened(ctx context.Context, sink projection.Sink) (*stand, error) {
	if err := sink.Open(ctx, everyKind, source); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	at, err := sink.Checkpoint(ctx, everyKind.Generation, source.Store)
	return &stand{sink, everyKind, at}, err
}

// onward returns the checkpoint that lies some positions further.
func onward(at subscription.Checkpoint, positions eventstore.Position) subscription.Checkpoint {
	at.Anchor.Position += positions
	at.Anchor.EventID = eventstore.NewEventID()
	return at
}

// commit writes rows and moves on.
func (s *stand) commit(ctx context.Context, changes ...projection.Change) error {
	to := onward(s.at, 1)
	if err := s.Commit(ctx, s.model, projection.Move{From: s.at, To: to}, changes); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.at = to
	return nil
}

func put(rows ...projection.Row) []projection.Change {
	changes := make([]projection.Change, len(rows))
	for n, row := range rows {
		changes[n] = projection.Change{Row: row}
	}
	return changes
}

func (s *stand) has(ctx context.Context, want ...projection.Row) error {
	got, err := s.List(ctx, s.model, projection.ListQuery{Limit: len(want) + 10})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(got) == 0 && len(want) == 0 {
		return nil
	}
	return same("rows", got, want)
}

// stays checks that the stored checkpoint is where the stand believes it is.
func (s *stand) stays(ctx context.Context) error { return s.stands(ctx, s.at) }

func (s *stand) stands(ctx context.Context, want subscription.Checkpoint) error {
	got, err := s.Checkpoint(ctx, s.model.Generation, source.Store)
	return first(err, same("checkpoint", got, want))
}

// sinkClause makes a clause over a sink with everyKind opened in it.
func sinkClause(rule string, check func(ctx context.Context, s *stand) error) clause[projection.Sink] {
	return clause[projection.Sink]{rule, func(ctx context.Context, sink projection.Sink) error {
		s, err := opened(ctx, sink)
		if err != nil {
			return err
		}
		return check(ctx, s)
	}}
}

var sinkClauses = slices.Concat(checkpointClauses, commitClauses, listClauses)

var checkpointClauses = []clause[projection.Sink]{
	{"a generation that was never opened has the zero checkpoint", func(ctx context.Context, sink projection.Sink) error {
		got, err := sink.Checkpoint(ctx, projection.Generation{Name: "never", Version: 1}, source.Store)
		return first(err, same("checkpoint", got, subscription.Checkpoint{}))
	}},
	{"reading a generation that was never opened is ErrNotBuilt", func(ctx context.Context, sink projection.Sink) error {
		_, err := sink.Load(ctx, everyKind, []string{"a"})
		_, listErr := sink.List(ctx, everyKind, projection.ListQuery{Limit: 1})
		return first(is("load", err, projection.ErrNotBuilt), is("list", listErr, projection.ErrNotBuilt))
	}},
	sinkClause("opening puts the checkpoint at position 0 of the source", func(ctx context.Context, s *stand) error {
		return s.stands(ctx, subscription.Checkpoint{Source: source, Generation: "every_kind@1"})
	}),
	sinkClause("opening again changes nothing", func(ctx context.Context, s *stand) error {
		row := plainRow("a", 1, "one")
		return first(s.commit(ctx, put(row)...), s.Open(ctx, s.model, source), s.stays(ctx), s.has(ctx, row))
	}),
	sinkClause("a checkpoint of a source it was not opened for is ErrForeignToken", func(ctx context.Context, s *stand) error {
		_, err := s.Checkpoint(ctx, s.model.Generation, eventstore.StoreID{9})
		return is("checkpoint", err, eventstore.ErrForeignToken)
	}),
	sinkClause("checkpoints of two sources move apart", func(ctx context.Context, s *stand) error {
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
		if err := first(s.commit(ctx), s.Open(ctx, s.model, other)); err != nil {
			return err
		}
		got, err := s.Checkpoint(ctx, s.model.Generation, other.Store)
		return first(err, same("other checkpoint", got.Position(), eventstore.Position(0)), s.stays(ctx))
	}),
	sinkClause("the same generation with another definition is refused", func(ctx context.Context, s *stand) error {
		changed := s.model
		changed.Hash = "other"
		return first(is("open", s.Open(ctx, changed, source), projection.ErrDefinitionChanged), s.stays(ctx))
	}),
	sinkClause("two versions of a view live side by side", func(ctx context.Context, s *stand) error {
		next := &stand{Sink: s.Sink, model: s.model}
		next.model.Version, next.model.Hash = 2, "another"
		next.model.Columns = next.model.Columns[:2]
		next.model.Indexes = nil
		old, young := plainRow("a", 1, "one"), projection.Row{Key: "a", Values: []any{true, int64(2)}}
		if err := first(s.commit(ctx, put(old)...), next.Open(ctx, next.model, source)); err != nil {
			return err
		}
		var err error
		if next.at, err = s.Checkpoint(ctx, next.model.Generation, source.Store); err != nil {
			return err
		}
		return first(
			same("the new one's position", next.at.Position(), eventstore.Position(0)),
			next.commit(ctx, put(young)...), next.has(ctx, young), s.has(ctx, old), s.stays(ctx))
	}),
	sinkClause("a new incarnation of the source is kept with the checkpoint", func(ctx context.Context, s *stand) error {
		to := onward(s.at, 1)
		to.Source.Incarnation = 7
		return first(s.Commit(ctx, s.model, projection.Move{From: s.at, To: to}, nil), s.stands(ctx, to))
	}),
}

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

var listClauses = []clause[projection.Sink]{
	sinkClause("a list follows the key, or a column and then the key, both ways", func(ctx context.Context, s *stand) error {
		rows := []projection.Row{plainRow("b", 10, "x"), plainRow("a", 10, "Z"), plainRow("c", -3, "ä"), plainRow("B", 200, "")}
		if err := s.commit(ctx, put(rows...)...); err != nil {
			return err
		}
		for by, want := range map[string]string{"": "Babc", "a_int": "cabB", "a_float": "cabB", "a_time": "cabB", "a_text": "Babc", "a_bytes": "Babc", "a_bool": "cBab"} {
			if err := s.listed(ctx, projection.ListQuery{By: by, Limit: 10}, want); err != nil {
				return err
			}
			if err := s.listed(ctx, projection.ListQuery{By: by, Limit: 10, Descending: true}, reversed(want)); err != nil {
				return err
			}
		}
		return s.listed(ctx, projection.ListQuery{Limit: 2}, "Ba")
	}),
	sinkClause("pages of a list hold every row once, equal values included", func(ctx context.Context, s *stand) error {
		var rows []projection.Row
		for n := range 26 {
			rows = append(rows, plainRow(string(rune('a'+n)), int64(n/7), "x"))
		}
		if err := s.commit(ctx, put(rows...)...); err != nil {
			return err
		}
		all := "abcdefghijklmnopqrstuvwxyz"
		for _, by := range []string{"", "a_int", "a_text", "a_time", "a_float"} {
			if err := first(s.paged(ctx, projection.ListQuery{By: by, Limit: 4}, all), s.paged(ctx, projection.ListQuery{By: by, Limit: 5, Descending: true}, reversed(all))); err != nil {
				return err
			}
		}
		return nil
	}),
}

// listed checks the keys of one page, each a single character.
func (s *stand) listed(ctx context.Context, list projection.ListQuery, want string) error {
	rows, err := s.List(ctx, s.model, list)
	return first(err, same(fmt.Sprintf("keys by %q", list.By), keysOf(rows), want))
}

// paged checks the keys of all pages together.
func (s *stand) paged(ctx context.Context, list projection.ListQuery, want string) error {
	var got strings.Builder
	for {
		rows, err := s.List(ctx, s.model, list)
		if err != nil {
			return err
		}
		got.WriteString(keysOf(rows))
		if len(rows) < list.Limit || got.Len() > len(want) {
			return same(fmt.Sprintf("keys by %q, page by page", list.By), got.String(), want)
		}
		last := rows[len(rows)-1]
		list.After = &projection.Cursor{Key: last.Key}
		if list.By != "" {
			list.After.Value = last.Values[s.model.Column(list.By)]
		}
	}
}

func keysOf(rows []projection.Row) string {
	var keys strings.Builder
	for _, row := range rows {
		keys.WriteString(row.Key)
	}
	return keys.String()
}

func reversed(text string) string {
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes)
}
