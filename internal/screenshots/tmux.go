package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// window is a terminal of so many columns in tmux, with a shell in it.
type window struct {
	dir     string
	columns int
	name    string // of the server, which has this window alone
}

// open starts a shell in dir, which finds the programs in bin.
func open(ctx context.Context, dir, bin string, columns, lines int) (*window, error) {
	w := &window{dir, columns, fmt.Sprintf("screenshots-%d-%d-%d", os.Getpid(), columns, time.Now().UnixNano())}
	command := fmt.Sprintf(`exec env -u CI -u NO_COLOR PATH=%s:"$PATH" PS1='$ ' sh -i`, bin)
	_, err := w.tmux(ctx, "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), "-c", dir, command)
	return w, err
}

func (w *window) close(ctx context.Context) {
	_, _ = w.tmux(context.WithoutCancel(ctx), "kill-server") // it may be gone
}

func (w *window) tmux(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "tmux", append([]string{"-L", w.name}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

// run types a command into an empty window.
func (w *window) run(ctx context.Context, command string) error {
	if err := w.press(ctx, "clear", "Enter"); err != nil {
		return err
	}
	if _, err := w.shows(ctx, func(plain string) bool { return strings.TrimSpace(plain) == "$" }); err != nil {
		return err
	}
	if _, err := w.tmux(ctx, "clear-history"); err != nil {
		return err
	}
	return w.press(ctx, command, "Enter")
}

// verb runs a command to its end, and returns it with all that it prints.
func (w *window) verb(ctx context.Context, command string) (captured string, err error) {
	if err := w.run(ctx, command); err != nil {
		return "", err
	}
	if _, err := w.shows(ctx, ended); err != nil {
		return "", err
	}
	captured, err = w.tmux(ctx, "capture-pane", "-e", "-p", "-S", "-")
	return strings.TrimSuffix(strings.TrimRight(captured, " \n"), "\n$"), err
}

// ended reports whether the shell waits for a command, below what the last one has printed.
func ended(plain string) bool { return strings.HasSuffix(strings.TrimSpace(plain), "\n$") }

// has returns what reports whether all these are to be seen.
func has(all ...string) func(plain string) bool {
	return func(plain string) bool {
		return !slices.ContainsFunc(all, func(text string) bool { return !strings.Contains(plain, text) })
	}
}

// press presses keys, by their names.
func (w *window) press(ctx context.Context, keys ...string) error {
	_, err := w.tmux(ctx, append([]string{"send-keys"}, keys...)...)
	return err
}

const (
	patience = 3 * time.Minute
	often    = 40 * time.Millisecond
)

// shows waits until it shows what is wanted, and returns that with its colours.
func (w *window) shows(ctx context.Context, wanted func(plain string) bool) (captured string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticks := time.NewTicker(often)
	defer ticks.Stop()
	for {
		if captured, err = w.tmux(ctx, "capture-pane", "-e", "-p"); err != nil {
			return "", err
		}
		plain := sequence.ReplaceAllString(captured, "")
		if wanted(plain) {
			return captured, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for what does not come: %w; it shows:\n%s", ctx.Err(), plain)
		case <-ticks.C:
		}
	}
}
