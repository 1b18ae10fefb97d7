package consumer

import "context"

// Lease says which worker has a shard.
type Lease struct {
	Shard string
	// Owner is the ID of the worker that has it; empty: nobody.
	Owner string
	// Wanted is the ID of a worker that has asked for it; empty: none.
	Wanted string
	// Counter goes up by one in each write. A lease whose counter stands still has ended.
	Counter int64
}

// LeaseStore keeps the leases of one consumer: of one stream, for one target. Its name is KCL's
// table in short (leaseKey, leaseOwner, leaseCounter); no clock is in it, and none is compared. Writes are
// durable when they return. An error other than [ErrLost] leaves open whether it was written.
type LeaseStore interface {
	// List returns all leases, in any order. It sees every write that returned before.
	List(ctx context.Context) ([]Lease, error)

	// Write stores a lease whose counter is one above the stored one's; a counter of 1 makes a lease
	// that is not there. Otherwise it is [ErrLost] and nothing changes.
	Write(ctx context.Context, lease Lease) error

	// Remove removes the lease of a shard if its counter is still the lease's, else it is [ErrLost].
	Remove(ctx context.Context, lease Lease) error
}

// CheckpointStore keeps checkpoints for a target that does its work elsewhere, see [Func]. What
// [Target] says of checkpoints holds here.
type CheckpointStore interface {
	Checkpoint(ctx context.Context, shard string) (Checkpoint, error)
	// Move moves the checkpoint of a shard if it is at from; else it is [ErrLost] and nothing changes.
	Move(ctx context.Context, shard string, from, to Checkpoint) error
}
