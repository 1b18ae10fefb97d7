package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/aggregate"
)

// Snapshots returns the snapshots in the store's file. They may be of streams of this store, or of
// any other. They end with the store.
func (s *Store) Snapshots() aggregate.SnapshotStore { return snapshots{s.file} }

type snapshots struct{ file *file }

// FindSnapshot implements [aggregate.SnapshotStore].
func (s snapshots) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (snapshot aggregate.Snapshot, found bool, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		var eventID []byte
		found, err = tx.find(ctx, findSnapshotSQL, []any{key.Store[:], string(key.Stream), key.Shape[:]},
			&snapshot.Incarnation, &snapshot.Version, &eventID, &snapshot.State)
		if found && copy(snapshot.EventID[:], eventID) != len(snapshot.EventID) {
			return fmt.Errorf("sqlite: the snapshot of %s has an event id of %d bytes", key.Stream, len(eventID))
		}
		return err
	})
	if err != nil {
		return aggregate.Snapshot{}, false, err
	}
	return snapshot, found, nil
}

// PutSnapshot implements [aggregate.SnapshotStore]. It waits for the file's write lock, like an
// append.
func (s snapshots) PutSnapshot(ctx context.Context, key aggregate.SnapshotKey, snapshot aggregate.Snapshot) error {
	return s.file.write(ctx, func(tx *transaction) error {
		return tx.exec(ctx, putSnapshotSQL, key.Store[:], string(key.Stream), key.Shape[:],
			snapshot.Incarnation, int64(snapshot.Version), snapshot.EventID[:], time.Now().UnixMicro(), orEmpty(snapshot.State))
	})
}
