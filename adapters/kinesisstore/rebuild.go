package kinesisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// Rebuild takes the archive of a stream into an index that is new. An [Indexer] on it then goes on from
// the stream, where the archive ends; if that is gone from the stream by now, it says [ErrTrimmed].
//
// Streams come out as they were, event by event and version by version. The order between streams is another
// one, so the index is another incarnation of the store: tokens of the old one are refused, and read
// models that were made from it are built anew. Let writers use the new index once it has caught up.
//
// Errors: [ErrNotEmpty], [ErrArchive]. A rebuild that has failed is begun again with another new index.
func Rebuild(ctx context.Context, index *Index, archive Archive) error {
	shards, err := index.Shards(ctx)
	if err != nil {
		return err
	}
	if len(shards) > 0 {
		return ErrNotEmpty
	}
	r := rebuilding{index: index, archive: archive, segments: map[string][]located{}, done: map[string]bool{}}
	if err := r.list(ctx); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	for shard := range r.segments {
		if err := r.shard(ctx, shard); err != nil {
			return fmt.Errorf("rebuild the index of %s: %w", index.stream.Name, err)
		}
	}
	return nil
}

// located is a segment that was listed, and what its name says.
type located struct {
	name     string
	from, to string
	ended    bool
}

type rebuilding struct {
	index    *Index
	archive  Archive
	segments map[string][]located
	done     map[string]bool
	gone     []string // parents that were gone when the stream was first read
}

// list sorts the files of the archive by shard.
func (r *rebuilding) list(ctx context.Context) error {
	folder := r.index.stream.folder()
	names, err := r.archive.List(ctx, folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == folder+beginningFile {
			continue
		}
		shard, at, err := locate(name, folder)
		if err != nil {
			return err
		}
		r.segments[shard] = append(r.segments[shard], at)
	}
	return nil
}

// begin takes the beginning in, so that the consumer goes on from it, and finds out what it has missed since.
func (r *rebuilding) begin(ctx context.Context) error {
	name := r.index.stream.folder() + beginningFile
	file, err := r.archive.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrArchive, name, err)
	}
	s, err := decodeSegment(name, file)
	if err != nil {
		return err
	}
	if fields := strings.Fields(s.To); len(fields) > 0 {
		r.gone = fields[1:]
	}
	_, err = r.take(ctx, s, consumer.Checkpoint{})
	return err
}

// shard takes a shard in, after its parents. An archiver has a shard's parents to their end before it has
// anything of the shard.
func (r *rebuilding) shard(ctx context.Context, shard string) error {
	if r.done[shard] {
		return nil
	}
	r.done[shard] = true
	at := consumer.Checkpoint{}
	for left := len(r.segments[shard]); left > 0 && !at.Ended; left-- {
		next, found, err := r.next(ctx, shard, at)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		if at.Sequence == "" {
			if err := r.parents(ctx, next); err != nil {
				return err
			}
		}
		if at, err = r.take(ctx, next, at); err != nil {
			return err
		}
	}
	return r.complete(shard, at)
}

func (r *rebuilding) parents(ctx context.Context, child segment) error {
	for _, parent := range child.Parents {
		if slices.Contains(r.gone, parent) {
			continue
		}
		if err := r.shard(ctx, parent); err != nil {
			return err
		}
		at, err := r.index.Checkpoint(ctx, parent)
		if err != nil {
			return err
		}
		if !at.Ended {
			return fmt.Errorf("%w: it has shard %s, and not the end of its parent %s", ErrArchive, child.Shard, parent)
		}
	}
	return nil
}

// next returns the segment that leads furthest from a place.
func (r *rebuilding) next(ctx context.Context, shard string, at consumer.Checkpoint) (segment, bool, error) {
	var best located
	for _, s := range r.segments[shard] {
		further := compareSequences(s.to, at.Sequence) > 0 || s.ended
		if compareSequences(s.from, at.Sequence) <= 0 && further &&
			(best.name == "" || compareSequences(s.to, best.to) > 0 || s.to == best.to && s.ended) {
			best = s
		}
	}
	if best.name == "" {
		return segment{}, false, nil
	}
	file, err := r.archive.Get(ctx, best.name)
	if err != nil {
		return segment{}, false, fmt.Errorf("read %s: %w", best.name, err)
	}
	s, err := decodeSegment(best.name, file)
	if err == nil && (s.Stream != r.index.stream.life() || s.name(r.index.stream) != best.name) {
		err = fmt.Errorf("%w: %s is another file than its name says", ErrArchive, best.name)
	}
	return s, true, err
}

// take takes in what a segment has after a place.
func (r *rebuilding) take(ctx context.Context, s segment, at consumer.Checkpoint) (consumer.Checkpoint, error) {
	var records []types.Record
	for _, a := range s.Records {
		if compareSequences(a.Sequence, at.Sequence) > 0 {
			records = append(records, a.record())
		}
	}
	to := consumer.Checkpoint{Sequence: s.To, Ended: s.Ended, Seen: timeOf(s.Seen)}
	err := r.index.Take(ctx, consumer.Batch{Shard: s.Shard, From: at, To: to, Records: records})
	if errors.Is(err, consumer.ErrLost) {
		err = fmt.Errorf("%w: something else takes records in meanwhile (%w)", ErrNotEmpty, err)
	}
	return to, err
}

// complete makes sure that nothing is left behind a segment that is missing.
func (r *rebuilding) complete(shard string, at consumer.Checkpoint) error {
	if n := slices.IndexFunc(r.segments[shard], func(s located) bool { return compareSequences(s.to, at.Sequence) > 0 }); n >= 0 {
		return fmt.Errorf("%w: shard %s has a segment %s, and nothing that leads there from %q", ErrArchive, shard, r.segments[shard][n].name, at.Sequence)
	}
	return nil
}
