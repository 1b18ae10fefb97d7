package postgres

import (
	"context"

	"github.com/leftfold/leftfold/projection"
)

// Look implements [projection.Readable], with the checkpoints first, because rows may be newer, and
// once more behind them.
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	all, err := s.Builds(ctx, model.Name)
	if err != nil {
		return look, err
	}
	look = projection.NewLook(all, model.Generation)
	for n := range look.Followed {
		f := &look.Followed[n]
		if f.Parked, err = s.Parked(ctx, model.Generation, f.Applied.Source.Store); err != nil {
			return look, err
		}
	}
	if look.Stage == "" || len(model.Columns) == 0 {
		return look, nil
	}
	if rows.List == nil {
		look.Rows, err = s.Load(ctx, model, rows.Keys)
	} else {
		look.Rows, err = s.List(ctx, model, *rows.List)
	}
	if err != nil {
		return look, err
	}
	all, err = s.Builds(ctx, model.Name)
	look.RowsUntil(all, model.Generation)
	return look, err
}
