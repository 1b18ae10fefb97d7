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
		r.paged(ctx, first, in.Limit, func(ctx context.Context, from resume) (p page, err error) {
			if read.complete(from.version) {
				return page{last: true}, nil
			}
			err = r.on(ctx, func(on session) error {
				p, err = read.following(ctx, on, from)
				return err
			})
			return p, err
		})(yield)
		first.recycle()
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
		// One more than a page: a stream of just that length is known to end there.
		if first, err = read.page(ctx, on, resume{rows: firstPageEvents + 1}); err != nil {
			return err
		}
		end, seen := read.newest(first, unbounded)
		if !seen {
			if end, err = read.end(ctx, on); err != nil {
				return err
			}
			if err := read.fix(first, end.Version); err != nil {
				return err
			}
		}
		if end.Type == eventstore.TombstoneType {
			return fmt.Errorf("read %s: %w", read.stream, eventstore.ErrStreamDeleted)
		}
		return nil
	})
	return first, err
}

// fix ends the read at the newest version, if it goes on behind its first page. A proxy may
// have asked a server for it that lags behind the page's.
func (r *streamRead) fix(first page, newest eventstore.Version) error {
	if first.last {
		return nil // all of the range, at the moment of that page
	}
	r.in.Through = min(r.in.Through, newest)
	if !r.in.Backwards && r.in.Through < first.reached.version {
		return fmt.Errorf("read %s: %w: it ends at version %d, after version %d was read", r.stream, errBehind, newest, first.reached.version)
	}
	return nil
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
	switch {
	case version == 0: // from where the range begins
	case in.Backwards:
		in.Through = version - 1
	default:
		in.After = version
	}
	return in
}

// complete reports whether nothing of the range is left behind a version.
func (r *streamRead) complete(version eventstore.Version) bool {
	left := r.behind(version)
	return left.After >= left.Through
}

// following fetches a page that is not the first. It may come from another server than the
// pages before it, one that lags or has lost events: then it does not go on where they ended,
// or ends before the range does.
func (r *streamRead) following(ctx context.Context, on session, from resume) (page, error) {
	p, err := r.page(ctx, on, from)
	if err == nil && p.last && !r.complete(p.reached.version) {
		err = fmt.Errorf("read %s: %w: it has no event behind version %d, and the read goes on there", r.stream, errBehind, p.reached.version)
	}
	return p, err
}

// page fetches a page behind a version; 0: the first.
func (r *streamRead) page(ctx context.Context, on session, from resume) (page, error) {
	text := r.sql.streamForwards
	if r.in.Backwards {
		text = r.sql.streamBackwards
	}
	if r.in.Limit > 0 {
		from.rows = min(from.rows, r.in.Limit)
	}
	in := r.behind(from.version)
	scan := newPageScan(from)
	scan.follows = r.follows
	err := on.rows(ctx, text, scan.scan, r.key[:], bigint(int64(in.After)), bigint(int64(in.Through)), bigint(int64(from.rows)))
	if err != nil {
		return page{}, fmt.Errorf("read %s: %w", r.stream, err)
	}
	return scan.done(), nil
}

// follows checks that versions have no gap and stand in the log in their order. A server
// that lags lacks the newest: backwards, a page of its begins too far down.
func (r *streamRead) follows(before, row place) error {
	newer, older := row, before
	if r.in.Backwards {
		newer, older = before, row
	}
	switch {
	case before == place{}: // the first event of the read
		return nil
	case newer.version != older.version+1 && r.in.Backwards:
		return fmt.Errorf("%w: it has no event between versions %d and %d", errBehind, row.version, before.version)
	case newer.version != older.version+1 || newer.position <= older.position:
		return fmt.Errorf("%w: version %d at position %d follows version %d at position %d",
			eventstore.ErrDiverged, row.version, row.position, before.version, before.position)
	default:
		return nil
	}
}
