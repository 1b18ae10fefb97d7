package export

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/leftfold/leftfold/eventstore"
)

// LineError says which line of a file is not as it was written.
type LineError struct {
	Line int64 // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// maxLine is more than any event needs, in base64: what is longer is no line of ours.
const maxLine = 2 * eventstore.MaxAppendBytes

// Verify reads a file to its end and returns what is in it. Whatever is not as it was written is a [LineError]. An
// error of r comes back as it is.
func Verify(ctx context.Context, r io.Reader, progress Progress) (Summary, error) {
	return read(ctx, r, visitor{
		header:  func(Summary) error { return nil },
		event:   func(eventstore.Recorded) error { return nil },
		command: func(eventstore.RememberedCommand) error { return nil },
	}, progress)
}

// visitor is given what is in a file. A line is handed to it when its sum is right.
type visitor struct {
	header  func(Summary) error // with the store and the number of events
	event   func(eventstore.Recorded) error
	command func(eventstore.RememberedCommand) error
}

// reader reads lines, and knows where it is.
type reader struct {
	in    *bufio.Reader
	chain chain
	at    int64 // the line
	text  []byte
}

func read(ctx context.Context, r io.Reader, v visitor, progress Progress) (found Summary, err error) {
	f := &reader{in: bufio.NewReaderSize(r, 1<<16)}
	announced, err := f.header()
	if err == nil {
		err = v.header(announced)
	}
	if err != nil {
		return found, f.failed(err)
	}
	found.Store = announced.Store
	var last eventstore.CommandID
	for {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		l, isEnd, err := f.next()
		if err != nil {
			return found, f.failed(err)
		}
		switch {
		case isEnd:
			found.SHA256 = hex.EncodeToString(f.chain[:])
			return found, f.failed(f.checkEnd(l, announced, found))
		case l.Command != "":
			var c eventstore.RememberedCommand
			if c, err = l.command(); err == nil {
				err = follows(last, c)
			}
			if err == nil {
				found.Commands++
				last, err = c.ID, v.command(c)
			}
		default:
			var e eventstore.Recorded
			if e, err = l.event(); err == nil && (found.Commands > 0 || int64(e.Position) != found.Events+1) {
				err = fmt.Errorf("position %d does not follow position %d", e.Position, found.Events)
			}
			if err == nil {
				found.Events++
				err = v.event(e)
			}
			if progress != nil && err == nil && (found.Events%tellEvery == 0 || found.Events == announced.Events) {
				progress(found.Events, announced.Events)
			}
		}
		if err != nil {
			return found, f.failed(err)
		}
	}
}

func follows(last eventstore.CommandID, c eventstore.RememberedCommand) error {
	if bytes.Compare(last[:], c.ID[:]) >= 0 {
		return fmt.Errorf("command %s comes behind %s", c.ID, last)
	}
	return nil
}

// failed says where it was, once.
func (f *reader) failed(err error) error {
	if _, told := errors.AsType[*LineError](err); err == nil || told || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ofStore := errors.AsType[*storeError](err); ofStore {
		return err
	}
	if failed, ofFile := errors.AsType[*readError](err); ofFile {
		return failed.error
	}
	return &LineError{f.at, err}
}

// readError is an error of the file itself: nothing is known of its line.
type readError struct{ error }

func (f *reader) header() (s Summary, err error) {
	l, isEnd, err := f.next()
	_, ofFile := errors.AsType[*readError](err)
	switch {
	case errors.Is(err, io.EOF):
		return s, errors.New("the file is empty")
	case ofFile, errors.Is(err, io.ErrUnexpectedEOF):
		return s, err
	case l.Leftfold == "" && f.at == 1 && (err != nil || isEnd):
		return s, errors.New("it is not an export of a log")
	case err != nil:
		return s, err
	case l.Leftfold != "log" || l.Events == nil:
		return s, errors.New("it is not an export of a log")
	case l.Format != Format:
		return s, fmt.Errorf("the file has format %d, this program knows format %d: use the release that wrote it", l.Format, Format)
	}
	var id eventstore.EventID // a UUID too
	if err := id.UnmarshalText([]byte(l.Store)); err != nil {
		return s, err
	}
	return Summary{Store: eventstore.StoreID(id), Events: *l.Events}, nil
}

// next reads a line and checks its sum.
func (f *reader) next() (l line, isEnd bool, err error) {
	f.at++
	if err := f.readLine(); err != nil {
		if errors.Is(err, io.EOF) && f.at > 1 {
			err = errors.New("the file was cut off: it has no end here")
		}
		return l, false, err
	}
	if isEnd, err = f.chain.check(f.text); err != nil {
		return l, false, err
	}
	return l, isEnd, json.Unmarshal(f.text, &l)
}

func (f *reader) readLine() error {
	f.text = f.text[:0]
	for {
		part, err := f.in.ReadSlice('\n')
		f.text = append(f.text, part...)
		switch {
		case err == nil:
			f.text = bytes.TrimSuffix(f.text, []byte("\n"))
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF): // it was compressed
			return fmt.Errorf("the file was cut off in this line: %w", err)
		case errors.Is(err, io.EOF) && len(f.text) > 0:
			return errors.New("the file was cut off in this line")
		case errors.Is(err, io.EOF):
			return err
		case !errors.Is(err, bufio.ErrBufferFull):
			return &readError{err}
		case len(f.text) > maxLine:
			return errors.New("it is longer than any line of an export")
		}
	}
}

// checkEnd holds the numbers against what was read. Nothing may follow.
func (f *reader) checkEnd(l line, announced, found Summary) error {
	if l.Events == nil || l.Commands == nil || *l.Events != found.Events || *l.Commands != found.Commands || announced.Events != found.Events {
		return fmt.Errorf("the numbers at the end are not those of %d events and %d commands", found.Events, found.Commands)
	}
	switch _, err := f.in.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF): // it was compressed
		return fmt.Errorf("the file was cut off behind this line: %w", err)
	case err != nil:
		return &readError{err}
	default:
		f.at++
		return errors.New("something follows the end of the export")
	}
}
