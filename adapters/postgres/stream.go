package postgres

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/leftfold/leftfold/eventstore"
)

func (r reader) readStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		read := streamRead{sql: r.sql, stream: stream, key: streamKey(stream), in: in}
		first, err := r.startStream(ctx, &read)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		r.paged(first, in.Limit, func(behind place) (p page, err error) {
			err = r.on(ctx, func(on session) error {
				p, err = read.page(ctx, on, read.behind(behind.version), pageEvents)
				return err
			})
			return p, err
		})(yield)
	}
}

// streamRead is a read of one stream.
type streamRead struct {
	sql    *statements
	stream eventstore.StreamID
	key    [16]byte
	in     eventstore.StreamRange
}

// startStream fixes the end of the read and fetches its first page. Most reads are of a
// whole stream that fits into a page: its last row is the end of the stream, and no second
// question is asked.
func (r reader) startStream(ctx context.Context, read *streamRead) (first page, err error) {
	if err := read.stream.Validate(); err != nil {
		return page{}, err
	}
	if err := read.in.Validate(); err != nil {
		return page{}, err
	}
	unbounded := read.in.Through == 0
	if unbounded {
		read.in.Through = math.MaxInt64
	}
	err = r.on(ctx, func(on session) error {
		if first, err = read.page(ctx, on, read.in, firstPageEvents); err != nil {
			return err
		}
		end, seen := read.newest(first, unbounded)
		if !seen {
			if end, err = read.end(ctx, on); err != nil {
				return err
			}
			read.in.Through = min(read.in.Through, end.Version)
		}
		if end.Type == eventstore.TombstoneType {
			return fmt.Errorf("read %s: %w", read.stream, eventstore.ErrStreamDeleted)
		}
		return nil
	})
	return first, err
}

// newest returns the newest event of the stream if the page shows it.
func (r *streamRead) newest(first page, unbounded bool) (end eventstore.Recorded, seen bool) {
	switch {
	case !unbounded || len(first.events) == 0:
		return end, false
	case r.in.Backwards:
		return first.events[0], true
	default:
		return first.events[len(first.events)-1], first.last
	}
}

// end reads the newest event of the stream, its version and type; none is version 0.
func (r *streamRead) end(ctx context.Context, on session) (end eventstore.Recorded, err error) {
	_, err = on.row(ctx, r.sql.streamEnd, func(row [][]byte) error {
		end.Version, end.Type = eventstore.Version(readInt8(row[0])), string(row[1])
		return nil
	}, r.key[:])
	if err != nil {
		return end, fmt.Errorf("look up the end of %s: %w", r.stream, err)
	}
	return end, nil
}

// behind returns what is left of the range behind a version.
func (r *streamRead) behind(version eventstore.Version) eventstore.StreamRange {
	in := r.in
	if in.Backwards {
		in.Through = version - 1
	} else {
		in.After = version
	}
	return in
}

func (r *streamRead) page(ctx context.Context, on session, in eventstore.StreamRange, most int) (page, error) {
	text := r.sql.streamForwards
	if in.Backwards {
		text = r.sql.streamBackwards
	}
	if in.Limit > 0 {
		most = min(most, in.Limit)
	}
	scan := newPageScan(most, nil)
	err := on.rows(ctx, text, scan.scan, r.key[:], bigint(int64(in.After)), bigint(int64(in.Through)), bigint(int64(most)))
	if err != nil {
		return page{}, fmt.Errorf("read %s: %w", r.stream, err)
	}
	return scan.done(), nil
}
