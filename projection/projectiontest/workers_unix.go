//go:build unix

package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Torture says how much [RunWorkers] does. The zero value is a tenth of the full size.
type Torture struct {
	// Events is how many events are appended meanwhile, at least. Default: 10,000.
	Events int
	// Faults is how many times a worker is killed, or paused for longer than its leases.
	// Default: 50.
	Faults int
	// Disturb is called after every tenth fault, to break what is between workers, store and
	// sink, or the sink. Default: nothing is broken.
	Disturb func() error
	// Bug is planted in the workers. Default: none.
	Bug Bug
	// NoPauses leaves the pauses out: a bug must be found in the rows.
	NoPauses bool
}

// RunWorkers has three processes keep two views, kills them with SIGKILL and pauses them with
// SIGSTOP for longer than their leases last, while events are appended. Now and then it pauses
// the projections too, and nothing must move then. In the end it compares the rows with the log:
// nothing lost, nothing twice, nothing out of order. start returns the command of a process that
// calls [WorkUntilKilled] on the same store and sink as p.
func RunWorkers(t *testing.T, p Parts, torture Torture, start func() *exec.Cmd) {
	t.Helper()
	figures, err := CheckWorkers(t.Context(), p, torture, start)
	if err != nil {
		t.Fatalf("%v (%v)", err, figures)
	}
	t.Log(figures)
}

// Figures are what happened in a torture. A fault that did not happen proves nothing.
type Figures struct {
	Events                            int64
	Kills, Stops, Disturbed, Standing int
	// Leases is how often segments were taken, split or merged.
	Leases int64
}

// String says it in a line.
func (f Figures) String() string {
	return fmt.Sprintf("%d events, %d kills, %d stops past the lease, %d other faults, %d pauses, %d changes of leases", f.Events, f.Kills, f.Stops, f.Disturbed, f.Standing, f.Leases)
}

// CheckWorkers is RunWorkers that returns what is wrong, for a test that plants a bug.
func CheckWorkers(ctx context.Context, p Parts, torture Torture, start func() *exec.Cmd) (figures Figures, err error) {
	if torture.Events == 0 {
		torture.Events = 10_000
	}
	if torture.Faults == 0 {
		torture.Faults = 50
	}
	crew, err := newCrew(func() *exec.Cmd {
		process := start()
		if process.Env == nil {
			process.Env = os.Environ()
		}
		process.Env = append(process.Env, bugVariable+"="+string(torture.Bug))
		return process
	})
	if err != nil {
		return figures, err
	}
	defer crew.dismiss()
	appended, harmed := make(chan error, 1), make(chan struct{})
	go func() { appended <- p.stream(ctx, torture.Events, harmed) }()
	var still []standstill
	late := p.Sink
	if plant := plants[torture.Bug]; plant != nil {
		late = plant(late)
	}
	for n := range torture.Faults {
		err = crew.harm(n, &figures)
		switch {
		case err != nil || torture.NoPauses:
		case n%10 == 4: // until the next fault is over
			still, err = p.pause(ctx, late)
			figures.Standing++
		case n%10 == 5:
			err, still = p.resume(ctx, still), nil
		}
		if err == nil && torture.Disturb != nil && n%10 == 9 {
			err = torture.Disturb()
			figures.Disturbed++
		}
		if err != nil {
			break
		}
		time.Sleep(rand.N(200 * time.Millisecond)) // the moment of a fault is not an event
	}
	err = first(err, p.resume(ctx, still))
	close(harmed)
	crew.waking.Wait()
	if err = first(err, <-appended); err != nil {
		return figures, err
	}
	status, err := p.caughtUp(ctx)
	figures.Events = int64(status.Head)
	for _, l := range status.Segments {
		figures.Leases = max(figures.Leases, l.Fence)
	}
	return figures, first(err, p.agrees(ctx))
}

// standstill is a paused view, and where its segments were right after the pause.
type standstill struct {
	of projection.Generation
	at []string
}

// pause pauses both views. Whoever held their segments until then commits once more, through late.
func (p Parts) pause(ctx context.Context, late projection.Sink) (still []standstill, err error) {
	head, err := p.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	for _, of := range []projection.Generation{tallies.Generation(), total.Generation()} {
		before, failed := p.Sink.Leases(of, head.Store).Roster(ctx)
		err := projection.Pause(ctx, p.Store, p.Sink, of)
		if errors.Is(err, projection.ErrNotBuilt) {
			continue // no worker has got so far yet
		}
		at, unknown := p.places(ctx, of)
		if err := first(failed, err, unknown); err != nil {
			return still, err
		}
		still = append(still, standstill{of, at})
		for _, l := range before.Segments { // what it is told does not count: nothing may have moved in the end
			_ = late.Commit(ctx, projection.Model{Generation: of}, projection.Move{From: l.Checkpoint, To: onward(l.Checkpoint, 1)}, nil)
		}
	}
	return still, nil
}

// resume checks that nothing has moved since, whatever was under way, and resumes the views.
func (p Parts) resume(ctx context.Context, still []standstill) error {
	for _, view := range still {
		at, err := p.places(ctx, view.of)
		if err := first(err, same("places of the segments of "+view.of.Name+", which is paused", at, view.at), projection.Resume(ctx, p.Store, p.Sink, view.of)); err != nil {
			return err
		}
	}
	return nil
}

// places says where the segments of a generation are, and how they do.
func (p Parts) places(ctx context.Context, of projection.Generation) (all []string, err error) {
	status, err := projection.StatusOf(ctx, p.Store, p.Sink, of)
	for _, l := range status.Segments {
		all = append(all, fmt.Sprintf("%s: %s, %d", l.Segment, l.Report.State, l.Position()))
	}
	return all, err
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
		case <-time.After(3 * time.Millisecond):
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
func (p Parts) caughtUp(ctx context.Context) (projection.Status, error) {
	if status, err := p.comesUp(ctx, total.Generation()); err != nil {
		return status, err
	}
	return p.comesUp(ctx, tallies.Generation())
}

// comesUp waits as long as the generation comes nearer to the head: the slower the machine, the longer the
// faults took, and the more was appended meanwhile.
func (p Parts) comesUp(ctx context.Context, of projection.Generation) (projection.Status, error) {
	for last := eventstore.Position(-1); ; {
		window, cancel := context.WithTimeout(ctx, clauseTimeout)
		status, err := applied(window, p.Store, p.Sink, of)
		cancel()
		if err == nil {
			return status, nil
		}
		now, unknown := projection.StatusOf(ctx, p.Store, p.Sink, of)
		if unknown != nil || now.Position <= last {
			return status, errors.Join(err, unknown)
		}
		last = now.Position
	}
}

// crew are three worker processes.
type crew struct {
	start  func() *exec.Cmd
	all    []*exec.Cmd
	waking sync.WaitGroup // of those that are asleep

	mu     sync.Mutex
	asleep []bool
	awoken *sync.Cond
}

func newCrew(start func() *exec.Cmd) (*crew, error) {
	c := &crew{start: start}
	c.awoken = sync.NewCond(&c.mu)
	for range 3 {
		process := start()
		if err := process.Start(); err != nil {
			return nil, err
		}
		c.all, c.asleep = append(c.all, process), append(c.asleep, false)
	}
	return c, nil
}

// harm kills a worker, and starts another in its place, or puts it to sleep. At least one is
// awake at all times and goes on with what the others have lost, and who sleeps is left to wake
// up: then it tries what it had in mind.
func (c *crew) harm(n int, figures *Figures) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	awake := c.awake()
	if n%2 == 0 {
		for len(awake) < 2 {
			c.awoken.Wait()
			awake = c.awake()
		}
		figures.Stops++
		return c.sleep(awake[rand.IntN(len(awake))])
	}
	figures.Kills++
	return c.replace(awake[rand.IntN(len(awake))])
}

func (c *crew) awake() (all []int) {
	for n, asleep := range c.asleep {
		if !asleep {
			all = append(all, n)
		}
	}
	return all
}

func (c *crew) sleep(n int) error {
	process := c.all[n].Process
	c.asleep[n] = true
	c.waking.Go(func() {
		time.Sleep(2*tortureTTL + rand.N(tortureTTL)) // a process that sleeps sees no event
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asleep[n] = false
		_ = process.Signal(syscall.SIGCONT) // it may have ended by itself
		c.awoken.Signal()
	})
	return process.Signal(syscall.SIGSTOP)
}

func (c *crew) replace(n int) error {
	process := c.start()
	if err := process.Start(); err != nil {
		return err
	}
	bury(c.all[n])
	c.all[n] = process
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
