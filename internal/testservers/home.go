package testservers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

//go:embed watchdog.sh
var watchdogScript string

// defaultParent is not os.TempDir: TMPDIR may be a folder that only root can enter, or so
// deep that the socket's path does not fit.
const defaultParent = "/tmp"

// longestSocket is what the kernel takes as the path of a Unix socket (sun_path, less its
// final zero), and leaves room for ".s.PGSQL.12345".
const longestSocket = 107 - len("/.s.PGSQL.12345.lock")

// home is the directory of one server and the watchdog that empties it.
type home struct {
	dir string
	as  account
	env []string // what our programs see besides their environment

	mu       sync.Mutex
	lifeline io.Closer // the watchdog reads from the other end; nil once closed
	watchdog *exec.Cmd
}

// newHome makes the directory of a server that must not be root.
func newHome(parent, prefix string) (*home, error) {
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	return newHomeAs(as, parent, prefix)
}

// newHomeAs makes the directory, under the watchdog's eyes.
func newHomeAs(as account, parent, prefix string) (_ *home, err error) {
	if parent == "" {
		parent = defaultParent
	}
	// The watchdog compares names of directories as the kernel knows them.
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return nil, err
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return nil, err
	}
	h := &home{as: as}
	if err := h.watch(filepath.Join(parent, prefix)); err != nil {
		return nil, fmt.Errorf("make a directory in %s: %w", parent, err)
	}
	if err := h.settle(); err != nil {
		return nil, errors.Join(err, h.remove(context.Background()))
	}
	return h, nil
}

func (h *home) settle() error {
	if len(h.dir) > longestSocket {
		return fmt.Errorf("%s is too long for a Unix socket in it: use a shorter directory", h.dir)
	}
	return h.as.own(h.dir)
}

// watch starts the watchdog, which makes the directory. Our end of the pipe closes on
// exec: a server that held it would keep the watchdog waiting after our death, and so
// itself alive.
func (h *home) watch(prefix string) error {
	// A background context, so that no goroutine waits: tests look for leaked ones.
	h.watchdog = exec.CommandContext(context.Background(), "/bin/sh", "-c", watchdogScript, "leftfold-watchdog", prefix)
	h.watchdog.Dir = "/"
	h.watchdog.Env = environment("/")
	inOwnSession(h.watchdog)
	lifeline, err := h.watchdog.StdinPipe()
	if err != nil {
		return err
	}
	output, err := h.watchdog.StdoutPipe()
	if err != nil {
		return err
	}
	h.watchdog.Stderr = h.watchdog.Stdout
	if err := h.watchdog.Start(); err != nil {
		return err
	}
	// To the end: it closes its side once it has told us the name, or has failed.
	name, err := io.ReadAll(output)
	h.dir = strings.TrimSpace(string(name))
	if err == nil && !strings.HasPrefix(h.dir, prefix) {
		err = errors.New(h.dir)
	}
	if err != nil {
		return errors.Join(err, lifeline.Close(), h.watchdog.Wait())
	}
	h.lifeline = lifeline
	return nil
}

// remove kills what runs here and removes the directory, which is the watchdog's job.
// It must not be hurried: if the context ends first, it is still done.
func (h *home) remove(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lifeline == nil {
		return nil
	}
	err := h.lifeline.Close()
	h.lifeline = nil
	gone := make(chan error, 1)
	go func() { gone <- h.watchdog.Wait() }()
	select {
	case failed := <-gone:
		return errors.Join(err, failed)
	case <-ctx.Done():
		return fmt.Errorf("remove %s: %w", h.dir, context.Cause(ctx))
	}
}

// run runs a program to its end, as the server's user and in its directory.
func (h *home) run(ctx context.Context, binary string, args ...string) error {
	cmd := exec.CommandContext(ctx, binary, args...)
	h.adopt(cmd)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(binary), err, output)
	}
	return nil
}

// adopt makes the command one of the server's.
func (h *home) adopt(cmd *exec.Cmd) {
	inOwnSession(cmd)
	h.as.become(cmd)
	cmd.Dir = h.dir
	cmd.Env = append(environment(h.dir), h.env...)
}

// environment is all that our programs see: no PGHOST or PGDATA of the user's.
func environment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "LC_ALL=C", "TZ=UTC"}
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// write makes a file that the server may read and change.
func (h *home) write(name, text string) error {
	file := h.path(name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	return h.as.own(file)
}

// append adds to a file that the server owns already.
func (h *home) append(name, text string) error {
	file, err := os.OpenFile(h.path(name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// living returns the processes that have their working directory here, as the watchdog
// sees them. One that has ended and was not waited for is not among them.
func (h *home) living() ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != h.dir && !strings.HasPrefix(cwd, h.dir+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// tail returns the last lines of a file, none of them before the offset.
func tail(file string, offset int64) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	text = text[min(offset, int64(len(text))):]
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	const most = 100
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
