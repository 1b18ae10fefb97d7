package redisstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// before is a hook that does something before each command.
type before func()

func (before) DialHook(next redis.DialHook) redis.DialHook { return next }

func (do before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		do()
		return next(ctx, cmd)
	}
}

func (before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Commits that move the checkpoint all the time are no obstacle to a worker that prolongs its
// lease: else the busiest one would lose it.
func TestCommitsAreNotInTheWayOfWhoeverAttends(t *testing.T) {
	const worker = subscription.WorkerID("ann/1")
	client, as := connect(t), prefix()
	s := stands(t, openAs(t, connect(t), as))
	commits := 0
	attending := openAs(t, client, as).Leases(numbers.Generation, s.at.Source.Store)
	held, err := attending.Acquire(t.Context(), worker, subscription.Whole, time.Minute)
	require.NoError(t, err)
	s.at = held
	client.AddHook(before(func() {
		to := s.next()
		if s.Commit(t.Context(), numbers, projection.Move{From: s.at, To: to}, put(row("a", 1, "x"))) == nil {
			commits, s.at = commits+1, to
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	report := subscription.Report{Segment: held.Segment, Fence: held.Fence, State: subscription.Running, Head: 7}
	roster, err := attending.Attend(ctx, worker, time.Hour, []subscription.Report{report})
	require.NoError(t, err)
	require.NotZero(t, commits)
	require.Equal(t, worker, roster.Segments[0].Holder)
	stored, err := s.Leases(numbers.Generation, s.at.Source.Store).Roster(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 7, stored.Segments[0].Report.Head)
	require.Equal(t, s.at, stored.Segments[0].Checkpoint, "and it takes no commit back")
}
