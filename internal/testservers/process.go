package testservers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is the server that runs in a home: none or one at a time.
type process struct {
	*home

	mu      sync.Mutex
	cmd     *exec.Cmd // nil: none
	logFrom int64     // where its part of the log begins
}

// logFile is what the server has written since its home was made.
func (p *process) logFile() string { return p.path("log") }

// Log returns the last lines of the server's log, for the message of a failed test.
func (p *process) Log() string { return tail(p.logFile(), 0) }

// ownLog is the log since the last start.
func (p *process) ownLog() string { return tail(p.logFile(), p.logFrom) }

// Pid returns the server's process id, 0 if it does not run.
func (p *process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// start starts the program. It may not be ready, and may be about to fail.
func (p *process) start(binary string, args ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errors.New("it runs already")
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if err := p.as.own(p.logFile()); err != nil {
		return err
	}
	written, err := log.Stat()
	if err != nil {
		return err
	}
	// A background context: the server outlives our caller's, and no goroutine waits for it.
	cmd := exec.CommandContext(context.Background(), binary, args...)
	p.adopt(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.logFrom = cmd, written.Size()
	return nil
}

// ready waits until check succeeds.
func (p *process) ready(ctx context.Context, check func(context.Context) error) error {
	err := eventually(ctx, func(ctx context.Context) error {
		err := check(ctx)
		if err != nil && !p.alive() {
			return permanent{fmt.Errorf("it has ended: %w", err)}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.ownLog())
	}
	return nil
}

// alive reports whether the server runs. One that has ended and was not waited for has
// no working directory.
func (p *process) alive() bool {
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.Pid()))
	return err == nil
}

// end sends the signal and waits for the server to go, as SIGKILL at the latest when the
// context ends. It waits for the children too: a postmaster that is killed leaves
// backends behind, and no other may start before they have noticed.
func (p *process) end(ctx context.Context, signal syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := wait(ctx, p.cmd)
	p.cmd = nil
	if err != nil {
		return err
	}
	return eventually(ctx, func(context.Context) error {
		pids, err := p.living()
		if err == nil && len(pids) > 0 {
			err = fmt.Errorf("processes %v have not ended", pids)
		}
		return err
	})
}

// Stop ends the server at once, without letting it finish, and removes all it has written.
func (p *process) Stop(ctx context.Context) error {
	err := p.remove(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return err
	}
	cmd := p.cmd
	p.cmd = nil
	return errors.Join(err, wait(ctx, cmd))
}

// wait waits for the command to end, however it ends, and kills it if the context ends
// before that.
func wait(ctx context.Context, cmd *exec.Cmd) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // "signal: killed"
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-done
		return context.Cause(ctx)
	}
}

// permanent is an error that waiting does not mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// eventually repeats what asks another process, which has no way to call us, until it
// succeeds.
func eventually(ctx context.Context, ask func(context.Context) error) error {
	const pause = 5 * time.Millisecond
	for {
		err := ask(ctx)
		var final permanent
		switch {
		case err == nil:
			return nil
		case errors.As(err, &final):
			return final.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(pause):
		}
	}
}
