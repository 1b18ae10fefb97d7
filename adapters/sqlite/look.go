package sqlite

import (
	"context"

	"github.com/leftfold/leftfold/projection"
)

// Look implements [projection.Readable], in one transaction: rows and checkpoints are of one moment.
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		all, err := builds(ctx, tx, model.Name)
		if err != nil {
			return err
		}
		look = projection.NewLook(all, model.Generation)
		for n := range look.Followed {
			f := &look.Followed[n]
			if f.Parked, err = s.following(model.Generation, f.Applied.Source.Store).parked(ctx, tx); err != nil {
				return err
			}
		}
		if look.Stage == "" || len(model.Columns) == 0 {
			return nil
		}
		look.Rows, err = selectRows(ctx, tx, model, rows)
		return err
	})
	return look, err
}

func selectRows(ctx context.Context, tx *transaction, model projection.Model, rows projection.RowQuery) ([]projection.Row, error) {
	if rows.List == nil {
		return loadRows(ctx, tx, model, rows.Keys)
	}
	statement, args := listSQL(model, *rows.List)
	return queryRows(ctx, tx, model, statement, args...)
}
