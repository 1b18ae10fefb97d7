package postgres

import (
	"context"
	"fmt"
	"time"
)

// PruneCommands implements [eventstore.CommandPruner]. It is for the role that owns the store: no
// [Privilege] gives the right to it, [ErrDenied]. Appends do not wait for it: it goes through the
// table of command ids in the order of its blocks, a megabyte in each transaction, and does not take
// the lock of the store. The room of what it removes is used again once autovacuum has been there.
func (s *Store) PruneCommands(ctx context.Context, before time.Time) (pruned int64, err error) {
	var bound, blocks int64
	err = s.db.do(ctx, func(on session) error {
		return on.one(ctx, s.db.sql.pruneBound, func(row [][]byte) error {
			bound, blocks = readInt8(row[0]), readInt8(row[1])
			return nil
		}, timestamp(before))
	})
	for first := int64(0); first < blocks && err == nil; first += pruneBlocks {
		var forgotten int64
		if forgotten, err = s.pruneBlocks(ctx, bound, before, first); err == nil {
			pruned += forgotten
		}
	}
	if err != nil {
		return pruned, fmt.Errorf("prune command ids: %w", err)
	}
	return pruned, nil
}

func (s *Store) pruneBlocks(ctx context.Context, bound int64, before time.Time, first int64) (forgotten int64, err error) {
	err = s.db.do(ctx, func(on session) error {
		return on.one(ctx, s.db.sql.pruneCommands, func(row [][]byte) error {
			forgotten = readInt8(row[0])
			return nil
		}, bigint(bound), timestamp(before), bigint(first), bigint(pruneBlocks))
	})
	return forgotten, err
}
