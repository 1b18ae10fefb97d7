package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"github.com/leftfold/leftfold/projection"
)

// Bar shows how far a task is: live on a terminal; elsewhere by a line when it starts,
// every few seconds and when it is done, so that logs stay readable.
type Bar struct {
	title string
	live  progress.Writer // nil if there is no terminal
	shown chan struct{}   // closed when live has stopped
	task  *progress.Tracker

	out  io.Writer
	mu   sync.Mutex
	next time.Time
	note string
	at   map[string]int64 // position of each projection, see Follow
}

const (
	plainEvery = 5 * time.Second
	besideNote = 20  // columns of what stands beside the note when a task is done
	wide       = 110 // columns with room for a long bar and the time
)

// NewBar starts a bar. Nobody knows the total if it is 0. End it with Finish.
func NewBar(out io.Writer, title string, total int64) *Bar {
	b := &Bar{title: title, out: out, next: time.Now().Add(plainEvery), at: map[string]int64{}}
	width, ok := TerminalWidth(out)
	if !ok {
		fmt.Fprintf(out, "%s: started\n", title)
		return b
	}
	b.task = &progress.Tracker{Message: title, Total: total, Units: progress.Units{Formatter: func(int64) string { return "" }}}
	b.live = progress.NewWriter()
	b.live.SetOutputWriter(fromTheLeft{out})
	b.live.SetTerminalWidth(width) // what does not fit is cut, never wrapped
	b.live.SetMessageLength(min(64, max(width-besideNote, 20)))
	b.live.SetUpdateFrequency(100 * time.Millisecond)
	b.live.SetStyle(progress.StyleBlocks)
	b.live.SetTrackerLength(10)
	if width >= wide {
		b.live.SetTrackerLength(30)
	}
	b.live.Style().Visibility.Time = width >= wide
	b.live.Style().Visibility.ETA = width >= wide && total > 0
	b.live.Style().Visibility.Value = false
	b.live.Style().Visibility.Speed = false
	b.live.Style().Options.TimeInProgressPrecision = 100 * time.Millisecond
	b.live.AppendTracker(b.task)
	b.shown = make(chan struct{})
	go func() { defer close(b.shown); b.live.Render() }()
	return b
}

// fromTheLeft puts the cursor to the left before each frame: the terminal may just have
// shown ^C, and only what is right of the cursor is erased.
type fromTheLeft struct{ io.Writer }

func (w fromTheLeft) Write(frame []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, "\r"); err != nil {
		return 0, err
	}
	return w.Writer.Write(frame)
}

// SetTotal says how much there is to do, where that is not known before.
func (b *Bar) SetTotal(total int64) {
	if b.live != nil {
		b.task.UpdateTotal(total)
	}
}

// Set says how much of the total is done.
func (b *Bar) Set(done int64, note string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note = note + ", "
	if b.live != nil {
		b.task.UpdateMessage(b.title + ": " + note)
		b.task.SetValue(min(done, max(b.task.Total-1, 0))) // Finish ends it
		return
	}
	if now := time.Now(); now.After(b.next) {
		b.next = now.Add(plainEvery)
		fmt.Fprintf(b.out, "%s: %s\n", b.title, note)
	}
}

// Follow returns a callback that shows several projections as one task.
func (b *Bar) Follow(start time.Time) func(projection.Progress) {
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
		b.Set(done, fmt.Sprintf("%s events, %s/s", Thousands(least), Thousands(Rate(least, time.Since(start)))))
	}
}

// Sayf prints a line of its own, above the bar if that is live.
func (b *Bar) Sayf(format string, args ...any) {
	if b.live != nil {
		b.live.Log(format, args...)
		return
	}
	fmt.Fprintf(b.out, "%s: %s\n", b.title, fmt.Sprintf(format, args...))
}

// Finish ends the bar. It returns when nothing more will be written.
func (b *Bar) Finish(ok bool) {
	if b.live == nil {
		if ok {
			fmt.Fprintf(b.out, "%s: %sdone\n", b.title, b.note)
		}
		return
	}
	if ok {
		b.task.MarkAsDone()
	} else {
		b.task.MarkAsErrored()
	}
	for { // a Stop before Render has begun is lost
		b.live.Stop()
		select {
		case <-b.shown:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// Rate returns how many a second that is.
func Rate[N ~int | ~int64](n N, took time.Duration) int64 {
	if n <= 0 || took <= 0 {
		return 0
	}
	return int64(float64(n) / took.Seconds())
}
