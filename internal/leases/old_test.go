package leases_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Segments are split, merged and made again, their leases change hands, keys are parked and taken
// up again, and all the while sleepers commit what they made long ago: a commit succeeds only if
// nobody has changed a row of its segment since its checkpoint was read. The mutant does not
// compare the count of parks.
func TestNoCheckpointComesBackOnceRowsHaveChanged(t *testing.T) {
	for seed := range uint64(10) {
		require.NoError(t, sleepers(t, memory.NewSink(), rand.New(rand.NewPCG(seed, 1))), "seed %d", seed)
	}
	require.ErrorContains(t, sleepers(t, parkless{memory.NewSink()}, rand.New(rand.NewPCG(1, 1))), "rows had changed")
}

const quarter = eventstore.Slices / 4

// sleeper is somebody who has read a checkpoint, and how often the rows of each quarter of the
// slices had been changed by then.
type sleeper struct {
	at    subscription.Checkpoint
	knows [4]int
}

func sleepers(t *testing.T, sink projection.Sink, random *rand.Rand) error {
	t.Helper()
	ctx := t.Context()
	source := eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}
	model := projection.Model{Generation: projection.Generation{Name: "rows", Version: 1}}
	require.NoError(t, sink.Open(ctx, model, source))
	leases := sink.Leases(model.Generation, source.Store)
	var asleep []sleeper
	var changes [4]int
	commits, merges := 0, 0
	for range 1500 {
		roster, err := leases.Roster(ctx)
		require.NoError(t, err)
		n := random.IntN(len(roster.Segments))
		l := roster.Segments[n]
		switch random.IntN(8) {
		case 0, 1:
			asleep = append(asleep, sleeper{l.Checkpoint, changes})
		case 2, 3:
			if len(asleep) == 0 {
				continue
			}
			s := asleep[len(asleep)-1-random.IntN(min(len(asleep), 1<<random.IntN(12)))] // often a late one
			move := projection.Move{From: s.at, To: s.at}
			if move.To.Parks++; random.IntN(8) == 0 { // as of a window
				move.To.Anchor.Position++
				binary.BigEndian.PutUint64(move.To.Anchor.EventID[:], uint64(move.To.Anchor.Position))
			}
			if sink.Commit(ctx, model, move, nil) != nil {
				continue
			}
			commits++
			for q := s.at.Segment.First / quarter; q < s.at.Segment.End/quarter; q++ {
				if changes[q] != s.knows[q] {
					return fmt.Errorf("a commit from %+v succeeded, though its rows had changed", s.at)
				}
				changes[q]++
			}
		case 4:
			if l.Holder != "" {
				require.NoError(t, leases.Release(ctx, l.Holder, l.Checkpoint))
			}
			_, err := leases.Acquire(ctx, subscription.WorkerID(rune('a'+random.IntN(2))), l.Segment, time.Hour)
			require.NoError(t, err)
		case 5:
			if at := l.Segment.First + quarter*eventstore.Slice(1+random.IntN(3)); at < l.Segment.End {
				_, _, _ = leases.Split(ctx, l.Holder, l.Checkpoint, at)
			}
		default:
			if n+1 < len(roster.Segments) {
				if _, err := leases.Merge(ctx, l.Holder, l.Checkpoint, roster.Segments[n+1].Checkpoint); err == nil {
					merges++
				}
			}
		}
	}
	if commits == 0 || merges == 0 {
		return fmt.Errorf("not tested: %d commits, %d merges", commits, merges)
	}
	return nil
}

type parkless struct{ *memory.Sink }

func (p parkless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	roster, err := p.Leases(model.Generation, move.From.Source.Store).Roster(ctx)
	if err != nil {
		return err
	}
	for _, l := range roster.Segments {
		if l.Segment == move.From.Segment {
			move.From.Parks = l.Parks
		}
	}
	return p.Sink.Commit(ctx, model, move, changes)
}
