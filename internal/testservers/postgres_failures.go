package testservers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// Restart stops the server as an administrator would (fast: transactions are aborted,
// then a checkpoint) and starts it again on its old port.
func (p *Postgres) Restart(ctx context.Context) error {
	return p.startAfter(ctx, syscall.SIGINT)
}

// Crash ends the server without a checkpoint, as pg_ctl stop -m immediate does, and starts
// it again: it recovers from its log.
func (p *Postgres) Crash(ctx context.Context) error {
	return p.startAfter(ctx, syscall.SIGQUIT)
}

// KillPostmaster kills the server's main process with SIGKILL, waits until its children
// have noticed, and starts it again: it recovers from its log.
func (p *Postgres) KillPostmaster(ctx context.Context) error {
	return p.startAfter(ctx, syscall.SIGKILL)
}

func (p *Postgres) startAfter(ctx context.Context, signal syscall.Signal) error {
	if err := p.end(ctx, signal); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	return p.Start(ctx)
}

// StopImmediate ends the server as [Postgres.Crash] does and leaves it ended, until Start.
func (p *Postgres) StopImmediate(ctx context.Context) error {
	return p.end(ctx, syscall.SIGQUIT)
}

// KillBackend kills one backend with SIGKILL. Postgres then ends all others, because
// their shared memory may be damaged, and recovers from its log; KillBackend returns
// when it takes connections again.
func (p *Postgres) KillBackend(ctx context.Context, pid int) error {
	// A connection of our own tells when the postmaster has seen it: until then it would
	// let us in, and end us a moment later.
	witness, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = witness.Close(context.WithoutCancel(ctx)) }()
	if err := p.kill(pid); err != nil {
		return fmt.Errorf("kill backend %d: %w", pid, err)
	}
	if err := ended(ctx, func() error { return witness.Ping(ctx) }); err != nil {
		return err
	}
	return p.ready(ctx, p.ping)
}

// ended waits until asking fails.
func ended(ctx context.Context, ask func() error) error {
	return eventually(ctx, func(context.Context) error {
		if ask() == nil {
			return errors.New("the connection is still there")
		}
		return ctx.Err()
	})
}

// kill makes sure that it is a process of this server before it kills it.
func (p *Postgres) kill(pid int) error {
	pids, err := p.living()
	if err != nil {
		return err
	}
	if !slices.Contains(pids, pid) {
		return fmt.Errorf("%d is none of its processes", pid)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Kill()
}

// TerminateBackend ends one connection, as an administrator or a failover would.
func (p *Postgres) TerminateBackend(ctx context.Context, pid int) error {
	// It waits up to a minute for the backend to go.
	return p.require(ctx, "SELECT pg_terminate_backend($1, 60000)", pid)
}
