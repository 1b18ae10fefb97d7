package consumer

import (
	"context"
	"sync"
)

// Memory is a [LeaseStore] and a [CheckpointStore] for the workers of one process. It lasts as
// long as the process does: the next one reads the stream from the beginning.
type Memory struct {
	mu          sync.Mutex
	leases      map[string]Lease
	checkpoints map[string]Checkpoint
}

// NewMemory returns an empty one.
func NewMemory() *Memory {
	return &Memory{leases: map[string]Lease{}, checkpoints: map[string]Checkpoint{}}
}

// List is that of [LeaseStore].
func (m *Memory) List(ctx context.Context) (all []Lease, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, lease := range m.leases {
		all = append(all, lease)
	}
	return all, ctx.Err()
}

// Write is that of [LeaseStore].
func (m *Memory) Write(ctx context.Context, lease Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.leases[lease.Shard].Counter != lease.Counter-1:
		return ErrLost
	}
	m.leases[lease.Shard] = lease
	return nil
}

// Remove is that of [LeaseStore].
func (m *Memory) Remove(ctx context.Context, lease Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, there := m.leases[lease.Shard]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !there || stored.Counter != lease.Counter:
		return ErrLost
	}
	delete(m.leases, lease.Shard)
	return nil
}

// Checkpoint is that of [CheckpointStore].
func (m *Memory) Checkpoint(ctx context.Context, shard string) (Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.checkpoints[shard], ctx.Err()
}

// Move is that of [CheckpointStore].
func (m *Memory) Move(ctx context.Context, shard string, from, to Checkpoint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !m.checkpoints[shard].IsAt(from):
		return ErrLost
	}
	m.checkpoints[shard] = to
	return nil
}
