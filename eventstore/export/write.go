package export

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/leftfold/leftfold/eventstore"
)

// Summary is what is in a file.
type Summary struct {
	Store    eventstore.StoreID `json:"-"`
	Events   int64              `json:"events"`
	Commands int64              `json:"commands"`
	SHA256   string             `json:"sha256"` // of the whole chain of lines, in hexadecimal

	// Already says that the store had all of the file before, so that [Import] has changed nothing.
	Already bool `json:"already,omitempty"`
}

// Progress is told how many of the events are done.
type Progress func(done, of int64)

// Options are the choices of [Write]. The zero value works.
type Options struct {
	// WithoutCommands leaves the commands out. In a store that imports the file, one of these that is sent
	// again is carried out a second time. Default: a store that cannot tell its commands is
	// [eventstore.ErrUnsupported].
	WithoutCommands bool
	// Progress is called for every thousand events, and at the end. Default: nobody is told.
	Progress Progress
}

const tellEvery = 1000 // events

// Write writes the store's log, up to its head at the call, with the commands that belong to it. Appends may go on
// meanwhile; their events are not in the file.
func Write(ctx context.Context, w io.Writer, store eventstore.LogReader, o Options) (s Summary, err error) {
	portable, ok := store.(eventstore.Portable)
	if !ok && !o.WithoutCommands {
		return s, fmt.Errorf("export the command ids: %w", &eventstore.UnsupportedError{Part: eventstore.Importing})
	}
	read, err := store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return s, err
	}
	s.Store = read.Identity.Store
	f := writer{out: bufio.NewWriterSize(w, 1<<16)}
	total := int64(read.Through.Position)
	f.line(line{Leftfold: "log", Format: Format, Store: s.Store.String(), Events: &total}.encode(nil, nil))
	for e, err := range read.Events() {
		if err != nil {
			return s, err
		}
		f.line(eventLine(e))
		if s.Events++; o.Progress != nil && (s.Events%tellEvery == 0 || s.Events == total) {
			o.Progress(s.Events, total)
		}
		if f.err != nil {
			return s, f.err
		}
	}
	if !o.WithoutCommands {
		for c, err := range portable.ReadCommands(ctx, read.Through) {
			if err != nil {
				return s, err
			}
			f.line(commandLine(c))
			s.Commands++
		}
	}
	f.end(line{Events: &s.Events, Commands: &s.Commands}.encode(nil, nil))
	s.SHA256 = hex.EncodeToString(f.chain[:])
	return s, errors.Join(f.err, f.out.Flush())
}

// writer writes lines, and keeps the first error.
type writer struct {
	out   *bufio.Writer
	chain chain
	err   error
}

func (f *writer) line(body []byte, err error) { f.put(body, err, f.chain.sum) }

func (f *writer) end(body []byte, err error) { f.put(body, err, f.chain.end) }

func (f *writer) put(body []byte, err error, sum func() string) {
	if f.err = errors.Join(f.err, err); f.err != nil {
		return
	}
	f.chain.add(body)
	_, _ = f.out.Write(body) // a bufio.Writer keeps its error
	_, _ = f.out.WriteString(sum())
	f.err = f.out.WriteByte('\n')
}
