package consumertest

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// RunTarget runs the tests of what a target says of checkpoints; its batches have no records. open
// returns an empty target for each. For a [consumer.CheckpointStore] it is a [consumer.Func] over it.
func RunTarget(t *testing.T, open func(t *testing.T) consumer.Target) {
	for _, clause := range []struct {
		name string
		run  func(t *testing.T, target consumer.Target)
	}{
		{"a checkpoint is where it was moved to", checkpointsMove},
		{"a checkpoint moves only from where it is", checkpointsAreCompared},
		{"of moves at one moment one wins", oneMoveWins},
		{"the beginning is a shard of its own", theBeginningIsKept},
	} {
		t.Run(clause.name, func(t *testing.T) {
			t.Parallel()
			clause.run(t, open(t))
		})
	}
}

// moment is what Seen may be.
var moment = time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)

// sequence is as long as sequence numbers are.
func sequence(last string) string { return "49" + strings.Repeat("0", 54-len(last)) + last }

func checkpointsMove(t *testing.T, target consumer.Target) {
	const shard, other = "shardId-000000000001", "shardId-000000000002"
	isAt(t, target, shard, consumer.Checkpoint{})
	at := consumer.Checkpoint{}
	for _, to := range []consumer.Checkpoint{
		{Seen: moment}, // begun, and nothing in it
		{Seen: moment.Add(time.Hour)},
		{Seen: moment.Add(time.Hour), Sequence: sequence("7")},
		{Seen: moment.Add(2 * time.Hour), Sequence: sequence("7")},
		{Seen: moment.Add(2 * time.Hour), Sequence: sequence("8")},
		{Seen: moment.Add(2 * time.Hour), Sequence: sequence("8"), Ended: true},
	} {
		take(t, target, shard, at, to)
		isAt(t, target, shard, to)
		at = to
	}
	take(t, target, other, consumer.Checkpoint{}, consumer.Checkpoint{Seen: moment, Ended: true}) // nothing was ever in it
	isAt(t, target, other, consumer.Checkpoint{Seen: moment, Ended: true})
	isAt(t, target, shard, at)
}

func checkpointsAreCompared(t *testing.T, target consumer.Target) {
	const shard = "shardId-000000000001"
	none, seven := consumer.Checkpoint{}, consumer.Checkpoint{Sequence: sequence("7"), Seen: moment}
	eight, ended := consumer.Checkpoint{Sequence: sequence("8"), Seen: moment}, consumer.Checkpoint{Sequence: sequence("8"), Seen: moment, Ended: true}
	refused(t, target, shard, seven, eight)
	isAt(t, target, shard, none)
	take(t, target, shard, none, seven)
	refused(t, target, shard, none, seven)
	refused(t, target, shard, none, eight)
	refused(t, target, shard, eight, ended)
	isAt(t, target, shard, seven)

	// Seen is not compared: who has found out less about the same place may move on from it.
	take(t, target, shard, consumer.Checkpoint{Sequence: seven.Sequence, Seen: moment.Add(-time.Hour)}, ended)
	refused(t, target, shard, eight, ended)
	refused(t, target, shard, none, ended)
	isAt(t, target, shard, ended)
}

func oneMoveWins(t *testing.T, target consumer.Target) {
	const shard, rounds, movers = "shardId-000000000001", 5, 4
	at := consumer.Checkpoint{}
	for round := range rounds {
		to := consumer.Checkpoint{Sequence: sequence(string(rune('1' + round))), Seen: moment}
		won := atomic.Int64{}
		var all sync.WaitGroup
		for range movers {
			all.Go(func() {
				switch err := target.Take(t.Context(), consumer.Batch{Shard: shard, From: at, To: to}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, consumer.ErrLost):
					t.Errorf("take: %v", err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d have won", round, won.Load())
		}
		at = to
	}
}

func theBeginningIsKept(t *testing.T, target consumer.Target) {
	const shard = "shardId-000000000001"
	long := consumer.Checkpoint{Sequence: "1764205323" + strings.Repeat(" shardId-000000000000", 500), Seen: moment}
	take(t, target, consumer.Beginning, consumer.Checkpoint{}, long)
	isAt(t, target, consumer.Beginning, long)
	refused(t, target, consumer.Beginning, consumer.Checkpoint{}, long)
	isAt(t, target, shard, consumer.Checkpoint{})
}

func take(t *testing.T, target consumer.Target, shard string, from, to consumer.Checkpoint) {
	t.Helper()
	if err := target.Take(t.Context(), consumer.Batch{Shard: shard, From: from, To: to}); err != nil {
		t.Fatalf("take in %s from %+v to %+v: %v", shard, from, to, err)
	}
}

func refused(t *testing.T, target consumer.Target, shard string, from, to consumer.Checkpoint) {
	t.Helper()
	if err := target.Take(t.Context(), consumer.Batch{Shard: shard, From: from, To: to}); !errors.Is(err, consumer.ErrLost) {
		t.Fatalf("take in %s from %+v, where it is not: %v, want ErrLost", shard, from, err)
	}
}

func isAt(t *testing.T, target consumer.Target, shard string, want consumer.Checkpoint) {
	t.Helper()
	got, err := target.Checkpoint(t.Context(), shard)
	if err != nil {
		t.Fatalf("read the checkpoint: %v", err)
	}
	if got != want {
		t.Fatalf("%s is at %+v, want %+v", shard, got, want)
	}
}
