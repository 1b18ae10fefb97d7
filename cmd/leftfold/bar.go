package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"

	"github.com/leftfold/leftfold/projection"
)

// bar shows how far a task is: live on a terminal, a line every few seconds elsewhere,
// so that logs stay readable.
type bar struct {
	title string
	live  progress.Writer // nil if there is no terminal
	shown chan struct{}   // closed when live has stopped
	task  *progress.Tracker

	out  io.Writer
	mu   sync.Mutex
	next time.Time
	note string
	at   map[string]int64 // position of each projection, see follow
}

const plainEvery = 5 * time.Second

func newBar(out io.Writer, title string, total int64) *bar {
	b := &bar{title: title, out: out, next: time.Now().Add(plainEvery), at: map[string]int64{}}
	if !isTerminal(out) {
		return b
	}
	b.task = &progress.Tracker{Message: title, Total: total, Units: progress.Units{Formatter: func(int64) string { return "" }}}
	b.live = progress.NewWriter()
	b.live.SetOutputWriter(out)
	b.live.SetTrackerLength(30)
	b.live.SetMessageLength(64)
	b.live.SetUpdateFrequency(100 * time.Millisecond)
	b.live.SetStyle(progress.StyleBlocks)
	b.live.Style().Visibility.Value = false
	b.live.Style().Visibility.Speed = false
	b.live.Style().Visibility.ETA = total > 0
	b.live.AppendTracker(b.task)
	b.shown = make(chan struct{})
	go func() { defer close(b.shown); b.live.Render() }()
	return b
}

// set says how much of the total is done.
func (b *bar) set(done int64, note string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note = note
	if b.live != nil {
		b.task.UpdateMessage(b.title + ": " + note)
		b.task.SetValue(min(done, max(b.task.Total-1, 0))) // finish ends it
		return
	}
	if now := time.Now(); now.After(b.next) {
		b.next = now.Add(plainEvery)
		fmt.Fprintf(b.out, "%s: %s\n", b.title, note)
	}
}

// follow returns a callback that shows several projections as one task.
func (b *bar) follow(start time.Time) func(projection.Progress) {
	var mu sync.Mutex
	return func(p projection.Progress) {
		mu.Lock()
		defer mu.Unlock()
		b.at[p.Name] = int64(p.Position)
		var done, least int64
		least = int64(p.Head)
		for _, position := range b.at {
			done += position
			least = min(least, position)
		}
		b.set(done, fmt.Sprintf("%s events, %s/s", thousands(least), thousands(rate(least, time.Since(start)))))
	}
}

// finish ends the bar. It returns when nothing more will be written.
func (b *bar) finish(ok bool) {
	if b.live == nil {
		if ok {
			fmt.Fprintf(b.out, "%s: %s, done\n", b.title, b.note)
		}
		return
	}
	if ok {
		b.task.MarkAsDone()
	} else {
		b.task.MarkAsErrored()
	}
	b.live.Stop()
	<-b.shown
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

func rate[N ~int | ~int64](n N, took time.Duration) int64 {
	if n <= 0 || took <= 0 {
		return 0
	}
	return int64(float64(n) / took.Seconds())
}
