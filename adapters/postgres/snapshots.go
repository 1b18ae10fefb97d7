package postgres

import (
	"bytes"
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// Snapshots returns the snapshots in the store's schema. They may be of streams of this store, or
// of any other. They need the privilege [ToSnapshot]; on a standby they can be found and not put.
// They are read and written by connections of the store, and end with it.
func (s *Store) Snapshots() aggregate.SnapshotStore { return snapshots{s.db} }

type snapshots struct{ db *database }

// FindSnapshot implements [aggregate.SnapshotStore].
func (s snapshots) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (snapshot aggregate.Snapshot, found bool, err error) {
	err = s.db.do(ctx, func(on session) error {
		found, err = on.row(ctx, s.db.sql.findSnapshot, func(row [][]byte) error {
			snapshot = aggregate.Snapshot{
				Incarnation: readInt4(row[0]), Version: eventstore.Version(readInt8(row[1])),
				EventID: eventstore.EventID(row[2]), State: bytes.Clone(row[3]),
			}
			return nil
		}, key.Store[:], []byte(key.Stream), key.Shape[:])
		return err
	})
	if err != nil {
		return aggregate.Snapshot{}, false, err
	}
	return snapshot, found, nil
}

// PutSnapshot implements [aggregate.SnapshotStore].
func (s snapshots) PutSnapshot(ctx context.Context, key aggregate.SnapshotKey, snapshot aggregate.Snapshot) error {
	return s.db.do(ctx, func(on session) error {
		return on.rows(ctx, s.db.sql.putSnapshot, noColumns, key.Store[:], []byte(key.Stream), key.Shape[:],
			int4(snapshot.Incarnation), bigint(int64(snapshot.Version)), snapshot.EventID[:], notNull(snapshot.State))
	})
}
