package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// survey is what a worker knows of the shards of the stream.
type survey struct {
	at        time.Time // before Kinesis was asked
	created   time.Time // the stream was
	retention time.Duration
	listed    map[string]types.Shard
	// ready are the shards to be read now, and the moment from which on all that arrives in them is
	// promised, for those that were never begun.
	ready map[string]time.Time
	// waiting says that there are others, which wait for the end of a parent.
	waiting bool
}

// look asks Kinesis which shards there are, and the target which of them are to be read.
//
// The list comes first. A parent that is not in it had gone by then, so the checkpoint that is read
// afterwards is its last one.
func (w *Worker) look(ctx context.Context) (survey, error) {
	at := now()
	stream, err := w.api.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &w.Stream})
	if err != nil {
		return survey{}, fmt.Errorf("describe stream %s: %w", w.Stream, err)
	}
	s := survey{
		at:        at,
		created:   aws.ToTime(stream.StreamDescriptionSummary.StreamCreationTimestamp),
		retention: time.Duration(aws.ToInt32(stream.StreamDescriptionSummary.RetentionPeriodHours)) * time.Hour,
		ready:     map[string]time.Time{},
	}
	if s.listed, err = w.listShards(ctx); err != nil || len(s.listed) == 0 { // it is being created
		return s, err
	}
	w.forget(s.listed)
	first, err := w.begin(ctx, s.created, s.listed)
	if err != nil {
		return s, err
	}
	for name, shard := range s.listed {
		at, err := w.checkpoint(ctx, name)
		if err != nil {
			return s, err
		}
		if at.Ended {
			continue
		}
		ready, since := true, at.Seen
		if !at.isBegun() {
			if ready, since, err = w.mayBegin(ctx, shard, s.listed, first); errors.Is(err, ErrTrimmed) {
				w.tell(err) // the other shards go on
			} else if err != nil {
				return s, err
			}
		}
		if ready {
			s.ready[name] = since
		} else {
			s.waiting = true
		}
	}
	return s, nil
}

// listShards reads all pages. A page that is missed would look like shards that are gone.
func (w *Worker) listShards(ctx context.Context) (map[string]types.Shard, error) {
	all := map[string]types.Shard{}
	in := &kinesis.ListShardsInput{StreamName: &w.Stream}
	for {
		page, err := w.api.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list the shards of stream %s: %w", w.Stream, err)
		}
		for _, shard := range page.Shards {
			all[aws.ToString(shard.ShardId)] = shard
		}
		if page.NextToken == nil {
			return all, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
}

// beginning is what the checkpoint of [Beginning] says.
type beginning struct {
	at   time.Time
	gone []string // parents that were gone then: nothing of them was ever promised
}

// begin returns what the consumer found when it first began; that is now, if it never has.
//
// Without it nobody could tell a shard whose parents were gone before we came from one whose
// parents came and went while all workers were down.
func (w *Worker) begin(ctx context.Context, created time.Time, listed map[string]types.Shard) (beginning, error) {
	at, err := w.Target.Checkpoint(ctx, Beginning)
	if err != nil {
		return beginning{}, fmt.Errorf("read the beginning: %w", err)
	}
	if !at.isBegun() {
		found := []string{strconv.FormatInt(created.Unix(), 10)}
		for _, shard := range listed {
			for _, parent := range parents(shard) {
				if _, there := listed[parent]; !there {
					found = append(found, parent)
				}
			}
		}
		slices.Sort(found[1:])
		to := Checkpoint{Sequence: strings.Join(slices.Compact(found), " "), Seen: now()}
		err := w.Target.Take(ctx, Batch{Shard: Beginning, From: at, To: to})
		if err != nil && !errors.Is(err, ErrLost) {
			return beginning{}, fmt.Errorf("store the beginning: %w", err)
		}
		if at, err = w.Target.Checkpoint(ctx, Beginning); err != nil { // another worker's perhaps
			return beginning{}, fmt.Errorf("read the beginning: %w", err)
		}
	}
	stored := strings.Fields(at.Sequence)
	if len(stored) == 0 || stored[0] != strconv.FormatInt(created.Unix(), 10) {
		return beginning{}, w.madeAnew(created)
	}
	return beginning{at: at.Seen, gone: stored[1:]}, nil
}

// mayBegin reports whether a shard that was never begun may be, which is when the ends of all its parents are
// stored, and from when on all that arrives in it is promised: since its parents were last seen open.
func (w *Worker) mayBegin(ctx context.Context, shard types.Shard, listed map[string]types.Shard, first beginning) (ready bool, since time.Time, err error) {
	for _, parent := range parents(shard) {
		if slices.Contains(first.gone, parent) {
			continue
		}
		at, err := w.checkpoint(ctx, parent)
		if err != nil {
			return false, since, err
		}
		if !at.Ended {
			if _, there := listed[parent]; there {
				return false, since, nil
			}
			return false, since, fmt.Errorf("%w: shard %s cannot begin: its parent %s has gone from stream %s, taken in up to sequence number %q and not to its end",
				ErrTrimmed, aws.ToString(shard.ShardId), parent, w.Stream, at.Sequence)
		}
		if since.IsZero() || at.Seen.Before(since) {
			since = at.Seen
		}
	}
	if since.IsZero() {
		since = first.at
	}
	return true, since, nil
}

// checkpoint returns the target's. An end that it has stored stays, so it is asked for it once.
func (w *Worker) checkpoint(ctx context.Context, shard string) (Checkpoint, error) {
	if at, known := w.endStored[shard]; known {
		return at, nil
	}
	at, err := w.Target.Checkpoint(ctx, shard)
	if err != nil {
		return at, fmt.Errorf("read the checkpoint of shard %s: %w", shard, err)
	}
	if at.Ended {
		w.endStored[shard] = at
	}
	return at, nil
}

// forget forgets the ends of shards that the stream has no more.
func (w *Worker) forget(listed map[string]types.Shard) {
	maps.DeleteFunc(w.endStored, func(shard string, _ Checkpoint) bool {
		_, there := listed[shard]
		return !there
	})
}

func (w *Worker) madeAnew(at time.Time) error {
	return fmt.Errorf("%w: stream %s was deleted and made anew at %s", ErrTrimmed, w.Stream, at.UTC().Format(time.RFC3339))
}

func parents(shard types.Shard) (all []string) {
	for _, parent := range []*string{shard.ParentShardId, shard.AdjacentParentShardId} {
		if aws.ToString(parent) != "" {
			all = append(all, *parent)
		}
	}
	return all
}

func (c Checkpoint) isBegun() bool { return c.Sequence != "" || c.Ended || !c.Seen.IsZero() }

// now is a moment for [Checkpoint].Seen.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
