package memory

import (
	"bytes"
	"context"
	"sync"

	"github.com/leftfold/leftfold/aggregate"
)

// Snapshots is an [aggregate.SnapshotStore] in memory. It is safe for concurrent use.
type Snapshots struct {
	mu   sync.RWMutex
	kept map[aggregate.SnapshotKey]aggregate.Snapshot
}

var _ aggregate.SnapshotStore = (*Snapshots)(nil)

// NewSnapshots returns a store without snapshots.
func NewSnapshots() *Snapshots {
	return &Snapshots{kept: map[aggregate.SnapshotKey]aggregate.Snapshot{}}
}

// FindSnapshot implements [aggregate.SnapshotStore].
func (s *Snapshots) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (aggregate.Snapshot, bool, error) {
	if err := ctx.Err(); err != nil {
		return aggregate.Snapshot{}, false, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	snapshot, found := s.kept[key]
	snapshot.State = bytes.Clone(snapshot.State)
	return snapshot, found, nil
}

// PutSnapshot implements [aggregate.SnapshotStore].
func (s *Snapshots) PutSnapshot(ctx context.Context, key aggregate.SnapshotKey, snapshot aggregate.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot.State = bytes.Clone(snapshot.State)
	s.kept[key] = snapshot
	return nil
}
