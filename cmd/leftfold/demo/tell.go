package demo

import (
	"cmp"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
)

// told is what there is to show beside what was seen last.
type told struct {
	turn    int // of the plan, or of the key k
	began   time.Time
	samples []sample
	story   story
	maxLag  view

	mu       sync.Mutex
	messages []show.Line
	unsaid   []show.Line // which nobody has shown yet
}

const keptMessages = 50

// sayf tells people something.
func (t *told) sayf(mark show.Mark, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := show.Line{Text: fmt.Sprintf(format, args...), Mark: mark}
	t.messages = append(t.messages, line)
	t.messages = t.messages[max(len(t.messages)-keptMessages, 0):]
	t.unsaid = append(t.unsaid, line)
}

func (t *told) take() (messages, unsaid []show.Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	unsaid, t.unsaid = t.unsaid, nil
	return append([]show.Line{}, t.messages...), unsaid
}

// display is where the demo is shown.
type display interface {
	// draw shows a frame, and the messages that are new.
	draw(f show.Frame, said []show.Line) error
	keys() <-chan rune
	close()
}

// openDisplay opens a screen where there is a terminal, unless it is not wanted. Where no keys can be pressed,
// things go by the plan.
func (d *demo) openDisplay(stdin io.Reader, stderr io.Writer) {
	d.display = newPlain(stderr)
	if !d.headless {
		if screen, ok := show.Open(stderr, stdin); ok {
			d.display = onScreen{screen}
		}
	}
	if d.byPlan = d.display.keys() == nil; d.byPlan {
		d.duration = cmp.Or(d.duration, unattended)
	}
}

// unattended is how long orders are placed where nobody can say that it is enough.
const unattended = 20 * time.Second

type onScreen struct{ screen *show.Screen }

func (s onScreen) draw(f show.Frame, _ []show.Line) error { return s.screen.Draw(f) }

func (s onScreen) keys() <-chan rune { return s.screen.Keys() }

func (s onScreen) close() { s.screen.Close() }

// plain is a line every few seconds, and one for each message.
type plain struct {
	out  io.Writer
	next time.Time
}

const plainEvery = 5 * time.Second

func newPlain(out io.Writer) *plain { return &plain{out, time.Now().Add(plainEvery)} }

func (p *plain) draw(f show.Frame, said []show.Line) error {
	for _, line := range said {
		if _, err := fmt.Fprintf(p.out, "%s  %s\n", clock(f.Took), line.Text); err != nil {
			return err
		}
	}
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(plainEvery)
		_, err := fmt.Fprintln(p.out, line(f))
		return err
	}
	return nil
}

func (p *plain) keys() <-chan rune { return nil }

func (p *plain) close() {}

func clock(took time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(took.Minutes()), int(took.Seconds())%60)
}
