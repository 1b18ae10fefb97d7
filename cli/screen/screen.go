// Package screen draws on a terminal again and again, each time over what was there, and reads single keys
// from it. What was on the terminal before is there again at the end, and so are its settings.
//
// It knows nothing of what is drawn: a caller has a pure function that returns lines for a number of columns
// and of lines, see [Size], and gives them to [Screen.Draw].
package screen

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// Size returns how many columns and lines out has; ok is false if it is no terminal that can move its cursor,
// or if nobody sits at it: TERM is dumb, or CI is set.
func Size(out io.Writer) (columns, lines int, ok bool) {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || os.Getenv("CI") != "" {
		return 0, 0, false
	}
	columns, lines, err := term.GetSize(int(file.Fd()))
	return columns, lines, err == nil && columns > 0 && lines > 0
}

// Coloured reports whether out may have colour: it is a terminal, and NO_COLOR is not set.
func Coloured(out io.Writer) bool {
	_, _, terminal := Size(out)
	return terminal && os.Getenv("NO_COLOR") == ""
}

// Screen is a terminal that is drawn on. Its methods may be called from any goroutine.
type Screen struct {
	out  io.Writer
	keys <-chan rune
	ends []func() // what Close does, in this order

	mu     sync.Mutex
	closed bool
	stay   []string
}

const (
	// Another page of the terminal, empty, without a cursor; what is wider than a line is cut.
	begin = "\x1b[?1049h\x1b[2J\x1b[?25l\x1b[?7l"
	end   = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// Open takes the terminal until Close, which the caller must defer at once: it also has to happen when he panics.
// ok is false if out is no terminal, see [Size]; then nothing has happened. Keys are read from in, if
// that is a terminal too.
//
// An interrupt (Ctrl-C) and SIGTERM close the screen as well, so that a second one finds the terminal as it
// was; that the program ends by them is up to its own [signal.NotifyContext]. What it prints then, it prints after
// Close.
func Open(out io.Writer, in io.Reader) (s *Screen, ok bool) {
	if _, _, ok := Size(out); !ok {
		return nil, false
	}
	s = &Screen{out: out}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	_, _ = io.WriteString(out, begin) // a terminal that is gone shows nothing
	if terminal, isFile := in.(*os.File); isFile {
		if keys, release, err := readKeys(terminal); err == nil {
			s.keys = keys
			s.ends = append(s.ends, release)
		}
	}
	closed := make(chan struct{})
	s.ends = append(s.ends, func() { signal.Stop(interrupts); close(closed) })
	go func() {
		select {
		case <-interrupts:
			s.Close()
		case <-closed:
		}
	}()
	return s, true
}

// Keys returns what is pressed, as it is pressed: no Enter is needed, and nothing is shown. It is nil, which is a
// channel without keys, where none can be read. It is never closed.
func (s *Screen) Keys() <-chan rune { return s.keys }

// Draw puts lines over those of the last call. None must be wider than the terminal, and there must not be
// more than it has. After Close it does nothing.
func (s *Screen) Draw(lines []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	_, err := io.WriteString(s.out, over(lines))
	return err
}

// over erases what was in each line before it is written: at the end of one as wide as the terminal that would erase its last
// character.
func over(lines []string) string {
	const home, eraseLine, eraseBelow = "\x1b[H", "\x1b[K", "\x1b[J"
	if len(lines) == 0 {
		return home + eraseBelow
	}
	last := len(lines) - 1
	var text strings.Builder
	text.WriteString(home)
	for _, line := range lines[:last] {
		text.WriteString(eraseLine + line + "\r\n")
	}
	return text.String() + eraseBelow + lines[last]
}

// Log keeps a line that stays when the screen is closed: Close prints it. After Close it is printed at once.
func (s *Screen) Log(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_, _ = io.WriteString(s.out, line+"\n")
		return
	}
	s.stay = append(s.stay, line)
}

// Close gives the terminal back as it was, with the lines of Log below. More calls do nothing.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, end := range s.ends {
		end()
	}
	s.stay = append(s.stay, "") // the last line ends too
	_, _ = io.WriteString(s.out, end+strings.Join(s.stay, "\r\n"))
}
