package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// call is a statement among several that go to the server together.
type call struct {
	statement

	params [][]byte
	scan   func(row [][]byte) error          // nil: no rows
	done   func(tag pgconn.CommandTag) error // nil: whatever it says
}

// together makes the calls in one round trip. The server does none that comes after one that
// failed. It returns nil once the server has said that it is ready for the next.
func (s session) together(ctx context.Context, calls ...call) (err error) {
	prepared := make([]*pgconn.StatementDescription, len(calls))
	for n, c := range calls {
		if s.pooled {
			continue
		}
		if prepared[n], err = s.conn.Prepare(ctx, c.name, c.text); err != nil {
			return explain(err)
		}
	}
	pipeline := s.conn.PgConn().StartPipeline(ctx)
	defer func() { err = errors.Join(err, explain(pipeline.Close())) }()
	for n, c := range calls {
		formats := binaryFormat
		if len(c.params) == 0 {
			formats = nil
		}
		if s.pooled {
			pipeline.SendQueryParams(c.text, c.params, nil, formats, binaryFormat)
		} else {
			pipeline.SendQueryStatement(prepared[n], c.params, formats, binaryFormat)
		}
	}
	if err := pipeline.Sync(); err != nil {
		return explain(err)
	}
	return read(pipeline, calls)
}

// read reads the answers to the calls.
func read(pipeline *pgconn.Pipeline, calls []call) (refused error) {
	for n := 0; ; n++ {
		result, err := pipeline.GetResults()
		if reader, ok := result.(*pgconn.ResultReader); ok && n < len(calls) {
			err = calls[n].read(reader)
		}
		_, ready := result.(*pgconn.PipelineSync)
		switch {
		case ready && refused == nil && n < len(calls):
			return errNoRow
		case ready:
			return refused
		case err == nil && result == nil:
			return errors.Join(errNoAnswer, refused)
		case err != nil && refused == nil:
			refused = &callError{n, explain(err)}
		}
		if err != nil && !isAnswer(err) {
			if _, fault := errors.AsType[*scanError](err); !fault {
				return refused
			}
		}
	}
}

func (c call) read(reader *pgconn.ResultReader) error {
	var fault error
	for reader.NextRow() {
		if c.scan != nil && fault == nil {
			fault = scanned(c.scan, reader.Values())
		}
	}
	tag, err := reader.Close()
	if err == nil && fault == nil && c.done != nil {
		fault = c.done(tag)
	}
	if err == nil && fault != nil {
		err = &scanError{fault}
	}
	return err
}

// callError says which of the calls failed.
type callError struct {
	nth int
	error
}

func (e *callError) Unwrap() error { return e.error }

// scanError is an answer that is not as it should be; the connection is in order.
type scanError struct{ error }

func (e *scanError) Unwrap() error { return e.error }
