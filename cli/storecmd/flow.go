package storecmd

import (
	"fmt"
	"io"
	"time"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore/export"
)

// flow is how fast the lines of a file go by, as they are without compression.
type flow struct {
	began time.Time
	bytes int64
}

func newFlow() *flow { return &flow{began: time.Now()} }

// into counts what is written.
func (f *flow) into(w io.Writer) io.Writer { return countingWriter{w, f} }

// from counts what is read.
func (f *flow) from(r io.Reader) io.Reader { return countingReader{r, f} }

type countingWriter struct {
	to io.Writer
	*flow
}

func (w countingWriter) Write(text []byte) (int, error) {
	n, err := w.to.Write(text)
	w.bytes += int64(n)
	return n, err
}

type countingReader struct {
	of io.Reader
	*flow
}

func (r countingReader) Read(text []byte) (int, error) {
	n, err := r.of.Read(text)
	r.bytes += int64(n)
	return n, err
}

// rates are what came by in a second.
func (f *flow) rates(events int64) string {
	took := time.Since(f.began)
	return fmt.Sprintf("%s events/s, %.1f MB/s", cli.Thousands(cli.Rate(events, took)), float64(f.bytes)/1e6/took.Seconds())
}

// show tells a bar how far a file is.
func (f *flow) show(bar *cli.Bar) export.Progress {
	return func(done, of int64) {
		bar.SetTotal(of)
		bar.Set(done, fmt.Sprintf("%s of %s events, %s", cli.Thousands(done), cli.Thousands(of), f.rates(done)))
	}
}
