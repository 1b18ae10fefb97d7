package sqlite

import (
	"context"
	"fmt"
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// ReadStream implements [eventstore.StreamReader]. The prefix of the log is fixed when
// the loop starts.
func (s *Store) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return reader(s.file.read).stream(ctx, stream, in)
}

func (r reader) stream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		read := streamRead{stream: stream, rest: in}
		first, err := r.startStream(ctx, &read)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		paged(first, in.Limit, func(last eventstore.Recorded) (page, error) { return r.continueStream(ctx, &read, last) })(yield)
	}
}

// streamRead is a read under way and what is left of its range.
type streamRead struct {
	stream eventstore.StreamID
	rest   eventstore.StreamRange
}

// startStream fixes the end of the read and fetches its first page, both from one state
// of the file. Events never change, so later pages up to that end belong to it too.
func (r reader) startStream(ctx context.Context, read *streamRead) (first page, err error) {
	if err := read.stream.Validate(); err != nil {
		return page{}, err
	}
	if err := read.rest.Validate(); err != nil {
		return page{}, err
	}
	err = r(ctx, func(tx *transaction) error {
		end, err := readEnd(ctx, tx, read.stream)
		if err != nil {
			return err
		}
		if end.deleted {
			return fmt.Errorf("read %s: %w", read.stream, eventstore.ErrStreamDeleted)
		}
		if read.rest.Through == 0 || read.rest.Through > end.version {
			read.rest.Through = end.version
		}
		first, err = read.page(ctx, tx)
		return err
	})
	return first, err
}

// continueStream fetches the page behind the last event.
func (r reader) continueStream(ctx context.Context, read *streamRead, last eventstore.Recorded) (p page, err error) {
	if read.rest.Backwards {
		read.rest.Through = last.Version - 1
	} else {
		read.rest.After = last.Version
	}
	err = r(ctx, func(tx *transaction) error {
		p, err = read.page(ctx, tx)
		return err
	})
	return p, err
}

func (r *streamRead) page(ctx context.Context, tx *transaction) (page, error) {
	text := streamForwardsSQL
	if r.rest.Backwards {
		text = streamBackwardsSQL
	}
	// A page takes a few milliseconds; to watch ctx meanwhile would cost as much again.
	rows, err := tx.query(context.WithoutCancel(ctx), text, string(r.stream), int64(r.rest.After), int64(r.rest.Through))
	if err != nil {
		return page{}, fmt.Errorf("read %s: %w", r.stream, err)
	}
	return scanPage(rows, pageLimit(r.rest.Limit), everything)
}
