// Package ptytest has a terminal for tests: a pseudo terminal that a program is given, and what a person would
// see on it. Only Linux has one; elsewhere tests skip themselves.
package ptytest

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Terminal is a terminal and who sits at it. It ends with the test.
type Terminal struct {
	// Tty is the program's end.
	Tty *os.File

	master *os.File

	mu      sync.Mutex
	changed chan struct{} // closed at the next output
	page    page
	written strings.Builder
}

// New opens a terminal of that size. The test must not run in parallel with others that look at the
// environment: it has TERM, and neither CI nor NO_COLOR.
func New(t testing.TB, columns, lines int) *Terminal {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("CI", "")
	t.Setenv("NO_COLOR", "")
	master, tty, err := open(columns, lines)
	if err != nil {
		if os.Getenv("LEFTFOLD_TEST") == "all" {
			t.Fatalf("open a pseudo terminal: %v", err)
		}
		t.Skipf("skipping: no pseudo terminal: %v", err)
	}
	terminal := &Terminal{Tty: tty, master: master, changed: make(chan struct{}), page: newPage(columns, lines)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		terminal.watch()
	}()
	t.Cleanup(func() {
		tty.Close()
		master.Close()
		<-ended
		if strange := terminal.page.strange; strange != "" {
			t.Errorf("the terminal was sent %q, which no terminal must know", strange)
		}
	})
	return terminal
}

func (t *Terminal) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := t.master.Read(buffer)
		t.mu.Lock()
		t.written.Write(buffer[:n])
		t.page.write(buffer[:n])
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return // the program's end is closed
		}
	}
}

// Type presses keys.
func (t *Terminal) Type(keys string) {
	if _, err := t.master.WriteString(keys); err != nil {
		panic(err)
	}
}

// Shown returns what is on the terminal: its lines, without spaces at their ends and without empty ones below, those
// that have left it upwards first.
func (t *Terminal) Shown() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.page.shown()
}

// Written returns all that the terminal was sent.
func (t *Terminal) Written() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.written.String()
}

// patience is how long the slowest machine may take to show something.
const patience = 30 * time.Second

// Until waits until the lines are as wanted, and returns them.
func (t *Terminal) Until(test testing.TB, wanted func(lines []string) bool) []string {
	test.Helper()
	return t.until(test, func(p *page) bool { return wanted(p.shown()) })
}

func (t *Terminal) until(test testing.TB, wanted func(p *page) bool) []string {
	test.Helper()
	late := time.After(patience)
	for {
		t.mu.Lock()
		is, lines, changed := wanted(&t.page), t.page.shown(), t.changed
		t.mu.Unlock()
		if is {
			return lines
		}
		select {
		case <-changed:
		case <-late:
			test.Fatalf("the terminal still shows:\n%s", strings.Join(lines, "\n"))
		}
	}
}

// Sees waits until a text is to be seen.
func (t *Terminal) Sees(test testing.TB, text string) []string {
	test.Helper()
	return t.Until(test, func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), text) })
}

// Takes has a command run on the terminal, as a shell does: Ctrl-C interrupts it.
func (t *Terminal) Takes(command *exec.Cmd) {
	command.Stdin, command.Stdout, command.Stderr = t.Tty, t.Tty, t.Tty
	command.SysProcAttr = foreground()
}

// IsFree fails unless the terminal is as a program must leave it: the cursor is to be seen, lines are wrapped, what is typed
// is shown, and there is no other page.
func (t *Terminal) IsFree(test testing.TB) {
	test.Helper()
	t.until(test, func(p *page) bool { return !p.hidden && !p.cut && p.main == nil })
	if !echoes(t.Tty) {
		test.Error("the terminal does not show what is typed")
	}
}
