package projectiontest

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// sees compares a look at some rows.
func (s *stand) sees(ctx context.Context, rows projection.RowQuery, want projection.Look) error {
	got, err := s.Look(ctx, s.model, rows)
	if len(got.Rows) == 0 {
		got.Rows = nil
	}
	for n := range got.Followed {
		if len(got.Followed[n].Parked) == 0 {
			got.Followed[n].Parked = nil
		}
	}
	return first(err, same("look", got, want))
}

func keys(keys ...string) projection.RowQuery { return projection.RowQuery{Keys: keys} }

var lookClauses = []clause[projection.Sink]{
	{"a look at a generation that is not there is no error and tells which one is live", func(ctx context.Context, sink projection.Sink) error {
		absent := &stand{Sink: sink, model: everyKind}
		if err := absent.sees(ctx, keys("a"), projection.Look{}); err != nil {
			return err
		}
		live, err := opened(ctx, sink)
		absent.model.Version = 7
		return first(err, absent.sees(ctx, keys("a"), projection.Look{Live: live.model.Generation}))
	}},
	sinkClause("a look tells the rows, how far they have come, and what is parked", func(ctx context.Context, s *stand) error {
		a, b, parked := plainRow("a", 1, "one"), plainRow("b", 2, "two"), parkedKey("c")
		if err := first(s.sees(ctx, keys(), s.looks()), s.commit(ctx, put(a, b)...), s.park(ctx, []projection.Parked{parked}, nil)); err != nil {
			return err
		}
		want := s.looks()
		want.Followed[0].Parked = []projection.Parked{parked}
		want.Rows = []projection.Row{a}
		if err := s.sees(ctx, keys("nobody", "a"), want); err != nil {
			return err
		}
		want.Rows = []projection.Row{b, a}
		list := projection.ListQuery{By: "a_int", Descending: true, Limit: 10}
		err := s.sees(ctx, projection.RowQuery{List: &list}, want)
		want.Rows = []projection.Row{b}
		list.Limit = 1
		return first(err, s.sees(ctx, projection.RowQuery{List: &list}, want))
	}),
	generationClause("a bare look has the same rows and the stage", func(ctx context.Context, one, two *stand) error {
		a, b := plainRow("a", 1, "one"), plainRow("b", 2, "two")
		if err := one.goes(ctx, 6, put(b)...); err != nil {
			return err
		}
		for _, rows := range []projection.RowQuery{keys("a", "nobody"), keys("nobody"), {List: &projection.ListQuery{By: "a_int", Descending: true, Limit: 10}}} {
			whole, err := one.Look(ctx, one.model, rows)
			if err != nil {
				return err
			}
			rows.Bare = true
			bare, err := one.Look(ctx, one.model, rows)
			if err := first(err, same("rows", bare.Rows, whole.Rows), same("stage", bare.Stage, projection.Live)); err != nil {
				return err
			}
		}
		list := projection.RowQuery{List: &projection.ListQuery{By: "a_int", Descending: true, Limit: 10}, Bare: true}
		bare, err := one.Look(ctx, one.model, list)
		if err := first(err, same("rows", bare.Rows, []projection.Row{b, a})); err != nil {
			return err
		}
		building, err := two.Look(ctx, two.model, projection.RowQuery{Keys: []string{"a"}, Bare: true})
		absent, err2 := one.Look(ctx, projection.Model{Generation: projection.Generation{Name: one.model.Name, Version: 9}, Columns: one.model.Columns}, projection.RowQuery{Bare: true})
		return first(err, err2, same("stage", building.Stage, projection.Building), same("live", building.Live, one.model.Generation),
			same("stage", absent.Stage, projection.Stage("")), same("live", absent.Live, one.model.Generation))
	}),
	sinkClause("a look tells the checkpoints of the segments that are least and most far, for each source", func(ctx context.Context, s *stand) error {
		halves, err := s.split(ctx)
		if err != nil {
			return err
		}
		second := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 3}
		if err := first(halves[0].goes(ctx, 9), halves[1].goes(ctx, 4), s.Open(ctx, s.model, second)); err != nil {
			return err
		}
		look, err := s.Look(ctx, s.model, keys())
		at := map[eventstore.Identity][2]eventstore.Position{}
		for _, f := range look.Followed {
			at[f.Applied.Source] = [2]eventstore.Position{f.Applied.Position(), f.Newest.Position()}
		}
		return first(err, same("checkpoints", at, map[eventstore.Identity][2]eventstore.Position{source: {4, 9}, second: {}}))
	}),
	generationClause("a look tells the stage of the generation, and the live one", func(ctx context.Context, one, two *stand) error {
		want := two.looks()
		want.Stage, want.Live = projection.Building, one.model.Generation
		if err := first(two.sees(ctx, keys(), want), two.goes(ctx, 5), two.promote(ctx)); err != nil {
			return err
		}
		want = one.looks()
		want.Stage, want.Live = projection.Kept, two.model.Generation
		return first(one.sees(ctx, keys(), want), two.sees(ctx, keys(), two.looks()))
	}),
	sinkClause("the rows of a look have what its checkpoint covers and nothing after the newest, while others commit", func(ctx context.Context, s *stand) error {
		const looks = 30
		writing, stop := context.WithCancel(ctx)
		written := make(chan error, 1)
		go func() {
			var err error
			for n := int64(1); err == nil && writing.Err() == nil; n++ {
				err = s.commit(ctx, put(plainRow("a", n, ""))...)
			}
			written <- err
		}()
		err := s.watch(ctx, looks)
		stop()
		return errors.Join(err, <-written)
	}),
}

// looks is what a look at the live generation tells, without rows.
func (s *stand) looks() projection.Look {
	return projection.Look{Stage: projection.Live, Live: s.model.Generation, Followed: []projection.Followed{{Applied: s.at, Newest: s.at}}}
}

// watch looks at the row a, whose a_int is the position at which it was written.
func (s *stand) watch(ctx context.Context, looks int) error {
	number := s.model.Column("a_int")
	for range looks {
		look, err := s.Look(ctx, s.model, keys("a"))
		if err != nil {
			return fmt.Errorf("look: %w", err)
		}
		at := look.Followed[0].Applied.Position()
		if at > 0 && len(look.Rows) == 0 {
			return fmt.Errorf("the checkpoint is at %d, and there is no row", at)
		}
		for _, row := range look.Rows {
			if of := row.Values[number].(int64); of < int64(at) {
				return fmt.Errorf("the checkpoint is at %d, and the row is of %d", at, of)
			} else if newest := look.Followed[0].Newest.Position(); of > int64(newest) {
				return fmt.Errorf("the newest checkpoint is at %d, and the row is of %d", newest, of)
			}
		}
	}
	return nil
}
