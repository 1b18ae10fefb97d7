//go:build unix

package projectiontest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// Torture says how much [RunWorkers] does. The zero value is a tenth of the full size.
type Torture struct {
	// Events is how many events are appended meanwhile, at least. Default: 10,000.
	Events int
	// Faults is how many times a worker is killed, or paused for longer than its leases.
	// Default: 50.
	Faults int
	// Disturb is called now and then, to break what is between workers, store and sink.
	// Default: nothing is broken.
	Disturb func() error
}

// RunWorkers has three processes keep two views, kills them with SIGKILL and pauses them with
// SIGSTOP for longer than their leases last, while events are appended; then it compares the
// rows with the log: nothing lost, nothing twice, nothing out of order. start returns the
// command of a process that calls [WorkUntilKilled] on the same store and sink as p.
func RunWorkers(t *testing.T, p Parts, torture Torture, start func() *exec.Cmd) {
	t.Helper()
	if err := CheckWorkers(t.Context(), p, torture, start); err != nil {
		t.Fatal(err)
	}
}

// CheckWorkers is RunWorkers that returns what is wrong, for a test that plants a bug.
func CheckWorkers(ctx context.Context, p Parts, torture Torture, start func() *exec.Cmd) error {
	if torture.Events == 0 {
		torture.Events = 10_000
	}
	if torture.Faults == 0 {
		torture.Faults = 50
	}
	crew, err := newCrew(start)
	if err != nil {
		return err
	}
	defer crew.dismiss()
	appended, harmed := make(chan error, 1), make(chan struct{})
	go func() { appended <- p.stream(ctx, torture.Events, harmed) }()
	for n := range torture.Faults {
		if err := crew.harm(n); err != nil {
			return err
		}
		if torture.Disturb != nil && n%10 == 9 {
			if err := torture.Disturb(); err != nil {
				return err
			}
		}
		time.Sleep(rand.N(200 * time.Millisecond)) // the moment of a fault is not an event
	}
	close(harmed)
	crew.waking.Wait()
	return first(<-appended, p.caughtUp(ctx), p.agrees(ctx))
}

// stream appends events to many streams, several at a time: so many at least, and as long as
// workers are harmed.
func (p Parts) stream(ctx context.Context, events int, harmed <-chan struct{}) error {
	const each = 5
	for n := 0; ; n++ {
		select {
		case <-harmed:
			if n*each >= events {
				return nil
			}
		case <-time.After(time.Millisecond):
		}
		batch := make([]any, each)
		for k := range batch {
			batch[k] = counted{int64(n*each + k)}
		}
		if _, err := p.append(ctx, fmt.Sprintf("s%d", rand.IntN(100)), batch...); err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
}

// caughtUp waits until both views have applied the whole log.
func (p Parts) caughtUp(ctx context.Context) error {
	const patience = 2 * time.Minute
	var status projection.Status
	for start := time.Now(); time.Since(start) < patience; time.Sleep(20 * time.Millisecond) {
		behind := false
		for _, of := range []projection.Generation{tallies.Generation(), total.Generation()} {
			var err error
			if status, err = projection.StatusOf(ctx, p.Store, p.Sink, of); err != nil {
				return err
			}
			behind = behind || len(status.Segments) == 0 || status.Lag() > 0
		}
		if !behind {
			return nil
		}
	}
	return fmt.Errorf("the workers do not catch up in %v: %+v", patience, status)
}

// crew are three worker processes.
type crew struct {
	start  func() *exec.Cmd
	all    []*exec.Cmd
	waking sync.WaitGroup // of those that are paused
	paused []bool
	mu     sync.Mutex
}

func newCrew(start func() *exec.Cmd) (*crew, error) {
	c := &crew{start: start}
	for range 3 {
		process := start()
		if err := process.Start(); err != nil {
			return nil, err
		}
		c.all, c.paused = append(c.all, process), append(c.paused, false)
	}
	return c, nil
}

// harm kills a worker, and starts another in its place, or pauses it.
func (c *crew) harm(n int) error {
	at := rand.IntN(len(c.all))
	c.mu.Lock()
	defer c.mu.Unlock()
	if n%2 == 0 && !c.paused[at] {
		process := c.all[at]
		c.paused[at] = true
		c.waking.Go(func() {
			time.Sleep(tortureTTL*3/2 + rand.N(tortureTTL)) // a process that sleeps sees no event
			c.mu.Lock()
			defer c.mu.Unlock()
			c.paused[at] = false
			_ = process.Process.Signal(syscall.SIGCONT) // it may have been killed meanwhile
		})
		return process.Process.Signal(syscall.SIGSTOP)
	}
	process := c.start()
	if err := process.Start(); err != nil {
		return err
	}
	bury(c.all[at])
	c.all[at] = process
	return nil
}

func (c *crew) dismiss() {
	c.waking.Wait()
	for _, process := range c.all {
		bury(process)
	}
}

func bury(process *exec.Cmd) {
	_ = process.Process.Kill()
	_ = process.Wait() // "signal: killed"
}
