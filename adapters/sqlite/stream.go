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
	return func(yield func(eventstore.Recorded, error) bool) {
		read := streamRead{stream: stream, rest: in}
		first, err := s.startStream(ctx, &read)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		paged(first, in.Limit, func(last eventstore.Recorded) (page, error) { return s.continueStream(ctx, &read, last) })(yield)
	}
}

// streamRead is a read under way and what is left of its range.
type streamRead struct {
	stream eventstore.StreamID
	rest   eventstore.StreamRange
}

// startStream fixes the end of the read and fetches its first page, both from one state
// of the file. Events never change, so later pages up to that end belong to it too.
func (s *Store) startStream(ctx context.Context, r *streamRead) (first page, err error) {
	if err := r.stream.Validate(); err != nil {
		return page{}, err
	}
	if err := r.rest.Validate(); err != nil {
		return page{}, err
	}
	err = s.file.read(ctx, func(tx *transaction) error {
		end, err := readEnd(ctx, tx, r.stream)
		if err != nil {
			return err
		}
		if end.deleted {
			return fmt.Errorf("read %s: %w", r.stream, eventstore.ErrStreamDeleted)
		}
		if r.rest.Through == 0 || r.rest.Through > end.version {
			r.rest.Through = end.version
		}
		first, err = r.page(ctx, tx)
		return err
	})
	return first, err
}

// continueStream fetches the page behind the last event.
func (s *Store) continueStream(ctx context.Context, r *streamRead, last eventstore.Recorded) (p page, err error) {
	if r.rest.Backwards {
		r.rest.Through = last.Version - 1
	} else {
		r.rest.After = last.Version
	}
	err = s.file.read(ctx, func(tx *transaction) error {
		p, err = r.page(ctx, tx)
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
