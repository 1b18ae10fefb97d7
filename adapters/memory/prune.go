package memory

import (
	"context"
	"maps"
	"math"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// PruneCommands implements [eventstore.CommandPruner].
func (s *Store) PruneCommands(ctx context.Context, before time.Time) (int64, error) {
	before = before.Truncate(time.Microsecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.accepting(ctx); err != nil {
		return 0, err
	}
	kept := eventstore.Position(math.MaxInt64) // the first one
	for _, o := range s.commands {
		if !o.recordedAt.Before(before) {
			kept = min(kept, o.receipt.Token.Position)
		}
	}
	known := len(s.commands)
	maps.DeleteFunc(s.commands, func(_ eventstore.CommandID, o outcome) bool { return o.receipt.Token.Position < kept })
	return int64(known - len(s.commands)), nil
}
