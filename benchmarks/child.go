package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
	"github.com/leftfold/leftfold/eventstore"
)

// Some measurements need several processes. The program starts itself again with a job in
// the environment. The child says "ready", waits for a line, and does the job.

const childEnv = "LEFTFOLD_BENCHMARKS_CHILD"

// job is what a child is told to do: append for the length of the window, or follow the
// log after a position.
type job struct {
	System string
	URL    string
	Append *load.Append // nil: follow
	Window time.Duration
	After  eventstore.Position
}

func isChild() bool { return os.Getenv(childEnv) != "" }

func child(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &j); err != nil {
		return err
	}
	known := appendingSystems(naives...)
	n := slices.IndexFunc(known, func(s system.System) bool { return s.Name == j.System })
	if n < 0 {
		return fmt.Errorf("no system %q", j.System)
	}
	store, err := known[n].OpenAt(ctx, j.URL)
	if err != nil {
		return err
	}
	defer store.Close()
	if j.Append == nil {
		return follow(ctx, store, j.After, stdin, stdout)
	}
	return appendAsChild(ctx, store, j, stdin, stdout)
}

// appendAsChild answers with its sample as JSON.
func appendAsChild(ctx context.Context, store system.Store, j job, stdin io.Reader, stdout io.Writer) error {
	writers := load.NewWriters(store, *j.Append)
	if _, err := writers.Run(ctx, warmUp); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "ready")
	if _, err := bufio.NewReader(stdin).ReadString('\n'); err != nil {
		return err
	}
	sample, err := writers.Run(ctx, j.Window)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(sample)
}

// follow answers with the position of each event and the time at which it had read it,
// until stdin ends.
func follow(ctx context.Context, store system.Store, after eventstore.Position, stdin io.Reader, stdout io.Writer) error {
	log, ok := store.(system.EventStore)
	if !ok {
		return errors.New("only Leftfold's stores can be followed")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()
	fmt.Fprintln(stdout, "ready")
	return log.Follow(ctx, after, func(event eventstore.Recorded) error {
		_, err := fmt.Fprintln(stdout, int64(event.Position), time.Now().UnixNano())
		return err
	})
}

// process is a child as its parent sees it.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startChild returns when the child is ready.
func startChild(ctx context.Context, j job) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := p.stdout.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("a child never got ready: %w", err), p.end())
	}
	return p, nil
}

// end closes the child's stdin and waits for it.
func (p *process) end() error {
	_ = p.stdin.Close()
	return p.cmd.Wait()
}

// appendingInProcesses measures several processes that start their windows together.
func appendingInProcesses(count int, l load.Append) measurement {
	return func(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
		url, err := b.freshDatabase(ctx, s)
		if err != nil {
			return nil, err
		}
		l.Salt = b.salt()
		var children []*process
		defer func() {
			for _, c := range children {
				_ = c.end()
			}
		}()
		for n := range count {
			l.Process = n
			one := l
			c, err := startChild(ctx, job{System: s.Name, URL: url, Append: &one, Window: b.options.window})
			if err != nil {
				return nil, err
			}
			children = append(children, c)
		}
		if err := b.settle(ctx); err != nil {
			return nil, err
		}
		for _, c := range children {
			fmt.Fprintln(c.stdin, "go")
		}
		samples := make([]*stats.Sample, count)
		for n, c := range children {
			if err := json.NewDecoder(c.stdout).Decode(&samples[n]); err != nil {
				return nil, fmt.Errorf("the sample of process %d: %w", n, err)
			}
		}
		return stats.Merge(samples...), nil
	}
}

// probes are the appends of one round of the wake-up measurement.
const probes = 200

// waking appends now and then to an idle store that another process follows. The time is
// taken from before the append until the other process has read the event: it includes
// the append itself. Both processes read the same clock of the machine.
func waking(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
	url, err := b.freshDatabase(ctx, s)
	if err != nil {
		return nil, err
	}
	return withStore(ctx, s, url, func(store system.Store) (*stats.Sample, error) {
		head, err := store.(system.EventStore).Head(ctx)
		if err != nil {
			return nil, err
		}
		follower, err := startChild(ctx, job{System: s.Name, URL: url, After: head.Position})
		if err != nil {
			return nil, err
		}
		sample, err := b.probe(ctx, store, follower)
		return sample, errors.Join(err, follower.end())
	})
}

func (b *bench) probe(ctx context.Context, store system.Store, follower *process) (*stats.Sample, error) {
	const first = 5 // not counted: connections are made
	sample := &stats.Sample{}
	start := time.Now()
	salt := b.salt()
	for n := range first + probes {
		time.Sleep(10*time.Millisecond + time.Duration(n%10)*time.Millisecond) // idle, and no beat with a poll
		begun := time.Now()
		position, err := store.Append(ctx, system.Append{Stream: fmt.Sprint("order-", salt, n), Events: []system.Event{system.NewEvent(system.NewRef(0, int64(n)))}})
		if err != nil {
			return nil, err
		}
		var seen, at int64
		if _, err := fmt.Fscanln(follower.stdout, &seen, &at); err != nil {
			return nil, err
		}
		if seen != position {
			return nil, fmt.Errorf("appended at position %d, the other process read %d", position, seen)
		}
		if n >= first {
			sample.Latency.Record(time.Unix(0, at).Sub(begun))
			sample.Ops++
			sample.Events++
		}
	}
	sample.Elapsed = time.Since(start)
	return sample, nil
}
