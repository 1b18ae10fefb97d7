package aggregate

import (
	"context"
	"encoding/hex"

	"github.com/leftfold/leftfold/eventstore"
)

// SnapshotStore keeps snapshots. It is a cache: what it has lost, or never got, is folded
// from the log again. What it returns is trusted only as far as a [Snapshot] proves itself,
// so it needs no transaction with the log, and may be in another database.
//
// Who can write a snapshot can make a decision believe what it says. Guard it like the log.
type SnapshotStore interface {
	// FindSnapshot returns the snapshot under the key, and whether there is one. It is one that
	// was put, whole: never parts of two.
	FindSnapshot(ctx context.Context, key SnapshotKey) (Snapshot, bool, error)

	// PutSnapshot keeps the snapshot in place of the one under the key, also of a newer one: after
	// a failover the older one may be right. The implementation must not keep the state's bytes,
	// nor change them.
	PutSnapshot(ctx context.Context, key SnapshotKey, snapshot Snapshot) error
}

// SnapshotKey is what a snapshot is found by. Builds whose folds differ have different keys, so
// that old and new programs do not get in each other's way during a deploy. A snapshot that no
// build asks for any more may be removed, like any other.
type SnapshotKey struct {
	Store  eventstore.StoreID // whose log was folded
	Stream eventstore.StreamID
	Shape  Shape
}

// Snapshot is a saved state: the fold of a stream's events through a version.
type Snapshot struct {
	// Incarnation is the life of the log that was folded.
	Incarnation int32
	// Version is that of the last event that was folded, EventID its id. They are the anchor: the
	// snapshot holds for a log that has this event at this version.
	Version eventstore.Version
	EventID eventstore.EventID
	// State is encoded; only a type of the key's Shape can read it.
	State []byte
}

// Shape is a hash over what a fold does: the layout of the state, the names and schema versions
// of the events, and the declared version of its body; see [Type.FoldVersion].
type Shape [16]byte

// String returns the shape in hexadecimal.
func (s Shape) String() string { return hex.EncodeToString(s[:]) }
