//go:build unix

package projectiontest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// RunRebuilds has processes rebuild a view beside its live worker, while events are appended, and
// kills each with SIGKILL in some phase: after each kill exactly one version is live, the old one
// or the new one, and its rows are what the log says; and when one process is let live, the
// rebuild is done. start returns the command of a process that calls [RebuildUntilKilled] on the
// same store and sink as p, with its standard output.
func RunRebuilds(t *testing.T, p Parts, torture Torture, start func() *exec.Cmd) {
	t.Helper()
	if err := CheckRebuilds(t.Context(), p, torture, start); err != nil {
		t.Fatal(err)
	}
}

// CheckRebuilds is RunRebuilds that returns what is wrong, for a test that plants a bug.
func CheckRebuilds(ctx context.Context, p Parts, torture Torture, start func() *exec.Cmd) error {
	if torture.Events == 0 {
		torture.Events = 1_000
	}
	if torture.Faults == 0 {
		torture.Faults = 12
	}
	if err := p.fill(ctx, torture.Events/2); err != nil { // each with one that is not counted
		return err
	}
	phases := []projection.Phase{projection.Replaying, projection.Replaying, projection.Indexing, projection.Verifying, projection.Switching, projection.Switched}
	killed := map[projection.Phase]int{}
	version := 1
	stop := p.liveWorker(ctx, version)
	defer func() { stop() }()
	for n := range torture.Faults {
		if err := p.agreesAt(ctx, version); err != nil { // it is quiet now
			return fmt.Errorf("before kill %d: %w", n+1, err)
		}
		phase, err := p.killInPhase(ctx, start, version+1, phases[n%len(phases)])
		if err != nil {
			return err
		}
		killed[phase]++
		live, err := p.liveVersion(ctx)
		if err != nil {
			return fmt.Errorf("after kill %d, while %s: %w", n+1, phase, err)
		}
		if live != version && live != version+1 {
			return fmt.Errorf("after kill %d, while %s: version %d is live, want %d or the next", n+1, phase, live, version)
		}
		if err := p.agreesAt(ctx, version); err != nil {
			return fmt.Errorf("after kill %d, while %s: the old one: %w", n+1, phase, err)
		}
		// Every other time the next process takes up what this one has left.
		if live == version && n%2 == 0 {
			continue
		}
		if live == version {
			if err := p.finishRebuild(ctx, start, version+1); err != nil {
				return fmt.Errorf("after kill %d, while %s: %w", n+1, phase, err)
			}
		}
		stop()
		version++
		stop = p.liveWorker(ctx, version)
		if err := p.agreesAt(ctx, version); err != nil {
			return fmt.Errorf("after kill %d, while %s: the new one: %w", n+1, phase, err)
		}
		if err := projection.Retire(ctx, p.Sink, talliesAt(version-1).Generation()); err != nil {
			return err
		}
	}
	if killed[projection.Replaying] == 0 || len(killed) < min(torture.Faults/3, 3) {
		return fmt.Errorf("%w: %v", errNotKilled, killed)
	}
	return nil
}

// liveWorker keeps a version up to date until the returned function is called, which waits for
// its end.
func (p Parts) liveWorker(ctx context.Context, version int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = projection.Worker{Log: p.Store, Events: tallyEvents, TTL: tortureTTL, Tasks: []projection.Task{projection.Into(p.Sink, talliesAt(version))}}.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func rebuilding(start func() *exec.Cmd, version int) *exec.Cmd {
	process := start()
	process.Env = append(process.Env, versionVariable+"="+strconv.Itoa(version))
	process.Stderr = os.Stderr
	return process
}

// killInPhase kills a process at some moment after it has begun a phase, while events are
// appended, and returns the phase that it was in.
func (p Parts) killInPhase(ctx context.Context, start func() *exec.Cmd, version int, in projection.Phase) (was projection.Phase, err error) {
	process := rebuilding(start, version)
	out, err := process.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := process.Start(); err != nil {
		return "", err
	}
	defer bury(process)
	appending, stop := context.WithCancel(ctx)
	appended := make(chan error, 1)
	go func() { appended <- p.keepAppending(appending, 50, 10*time.Millisecond) }()
	defer func() { stop(); err = first(err, <-appended) }()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		was = projection.Phase(lines.Text())
		if was == in || was == projection.Switched {
			break
		}
	}
	most := 25 * time.Millisecond
	if in == projection.Switching && rand.IntN(2) == 0 {
		most *= 10 // on a machine that is busy the switch itself takes long
	}
	time.Sleep(rand.N(most)) // the moment of a kill is not an event
	return was, lines.Err()
}

// finishRebuild lets a process rebuild to its end.
func (p Parts) finishRebuild(ctx context.Context, start func() *exec.Cmd, version int) (err error) {
	appending, stop := context.WithCancel(ctx)
	appended := make(chan error, 1)
	go func() { appended <- p.keepAppending(appending, 50, 10*time.Millisecond) }()
	defer func() { stop(); err = first(err, <-appended) }()
	if err := rebuilding(start, version).Run(); err != nil {
		_, left := p.liveVersion(ctx) // one that has died by itself leaves no half of a switch either
		return first(left, fmt.Errorf("the rebuild of version %d failed: %w", version, err))
	}
	live, err := p.liveVersion(ctx)
	return first(err, same("live version", live, version))
}
