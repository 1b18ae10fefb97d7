package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// PruneCommands implements [eventstore.CommandPruner]. It looks at a thousand command ids at a
// time, and takes the file's write lock for those that have some to forget, like an append.
func (s *Store) PruneCommands(ctx context.Context, before time.Time) (pruned int64, err error) {
	if err := s.outside(ctx); err != nil {
		return 0, err
	}
	p := pruning{file: s.file, before: before.UnixMicro(), through: []byte{}}
	if err := p.findBound(ctx); err != nil {
		return 0, fmt.Errorf("prune command ids: %w", err)
	}
	for more := true; more; {
		var forgotten int64
		more, forgotten, err = p.page(ctx)
		pruned += forgotten
		if err != nil {
			return pruned, fmt.Errorf("prune command ids: %w", err)
		}
	}
	return pruned, nil
}

// pruning is one walk along the command ids.
type pruning struct {
	file    *file
	before  int64 // microseconds since 1970
	bound   eventstore.Position
	through []byte // the last id of the pages that are done
}

// findBound reads all ids once. Those that come later come behind the bound, or at the last
// position before it with a time of their own.
func (p *pruning) findBound(ctx context.Context) error {
	return p.file.read(ctx, func(tx *transaction) error {
		rows, err := tx.query(ctx, pruneBoundSQL, p.before)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is that of Err
		for rows.Next() {
			if err := rows.Scan(&p.bound); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// page forgets what there is to forget on the next page, and reports whether there was one.
func (p *pruning) page(ctx context.Context) (more bool, forgotten int64, err error) {
	var end []byte
	var old int64
	err = p.file.read(ctx, func(tx *transaction) error {
		_, err := tx.find(ctx, prunePageSQL, []any{p.through, p.bound, p.before}, &end, &old)
		return err
	})
	if err != nil || end == nil {
		return false, 0, err
	}
	if old > 0 {
		err = p.file.write(ctx, func(tx *transaction) (err error) {
			forgotten, err = p.forget(ctx, tx, end)
			return err
		})
		if err != nil {
			return false, 0, err
		}
	}
	p.through = end
	return true, forgotten, nil
}

// forget removes the rows through an id. The trigger that keeps them is told for so long.
func (p *pruning) forget(ctx context.Context, tx *transaction, end []byte) (forgotten int64, err error) {
	if err := tx.exec(ctx, allowPruningSQL, p.bound); err != nil {
		return 0, err
	}
	if forgotten, err = tx.change(ctx, pruneCommandsSQL, p.through, end, p.bound, p.before); err != nil {
		return 0, err
	}
	return forgotten, tx.exec(ctx, allowPruningSQL, 0)
}
