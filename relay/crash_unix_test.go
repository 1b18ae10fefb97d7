//go:build unix

package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

// The test about crashes runs its own binary again, as a child that publishes a log to a file, and kills itself
// between two steps.
const (
	childPath  = "LEFTFOLD_RELAY_CHILD_PATH"  // of the log; the rest lies beside it
	childPoint = "LEFTFOLD_RELAY_CHILD_POINT" // where it kills itself
	childAfter = "LEFTFOLD_RELAY_CHILD_AFTER" // and at which time that it comes there
	childBug   = "LEFTFOLD_RELAY_CHILD_BUG"
)

// Where a child kills itself.
const (
	afterTaken   = "the bus has taken a request, and has not answered"
	halfTaken    = "the bus has taken a part of a request"
	beforeCommit = "everything was published, and the checkpoint has not moved"
	afterCommit  = "the checkpoint has moved"
)

var points = []string{afterTaken, halfTaken, beforeCommit, afterCommit}

// suicide ends the process at one of the points, without a chance to do anything more.
type suicide struct {
	point string

	mu    sync.Mutex
	after int
}

func (s *suicide) at(point string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if point != s.point {
		return
	}
	if s.after--; s.after < 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// fileBus is a bus that is a file: a line is a message that it has taken.
type fileBus struct {
	file  *os.File
	kills *suicide
}

func (b fileBus) Limits() relay.Limits     { return relay.Limits{Messages: 10} }
func (b fileBus) Size(m relay.Message) int { return len(m.Data) }

func (b fileBus) Publish(_ context.Context, all []relay.Message) ([]error, error) {
	for n, m := range all {
		line, err := json.Marshal(arrival{m.ID, m.Key, m.Version})
		if err != nil {
			return nil, err
		}
		if _, err := b.file.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		if n == len(all)/2 {
			b.kills.at(halfTaken)
		}
	}
	b.kills.at(afterTaken)
	return make([]error, len(all)), nil
}

type arrival struct {
	ID      string
	Key     string
	Version eventstore.Version
}

// mortalSink is a sink of a process that may die before a commit, or after it.
type mortalSink struct {
	projection.Sink

	kills *suicide
}

func (s mortalSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	s.kills.at(beforeCommit)
	err := s.Sink.Commit(ctx, model, move, changes)
	s.kills.at(afterCommit)
	return err
}

// hastyBus is the planted bug: it says that a request was taken before that is so, and takes it when the next
// one comes. That is what a relay comes to that moves the checkpoint first.
type hastyBus struct {
	fileBus

	mu   sync.Mutex
	held []relay.Message
}

func (b *hastyBus) Publish(ctx context.Context, all []relay.Message) ([]error, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) > 0 {
		if _, err := b.fileBus.Publish(ctx, b.held); err != nil {
			return nil, err
		}
	}
	b.held = all
	return make([]error, len(all)), nil
}

// publishUntilKilled is the child.
func publishUntilKilled(path string) error {
	ctx := context.Background()
	after, err := strconv.Atoi(os.Getenv(childAfter))
	if err != nil {
		return err
	}
	kills := &suicide{point: os.Getenv(childPoint), after: after}
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path+".bus", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r := relay.Relay{
		Name: "orders", Log: store, Sink: mortalSink{store.Sink(), kills}, Publisher: fileBus{file, kills},
		TTL: 100 * time.Millisecond, Window: 40, // it need not wait long for the lease of the one before it
	}
	if os.Getenv(childBug) != "" {
		r.Publisher = &hastyBus{fileBus: fileBus{file, kills}}
	}
	return r.Run(ctx)
}

func TestTortureOfARelayThatIsKilledBetweenTheBusAndTheCheckpoint(t *testing.T) {
	repeats, hits := killed(t, 6*eventstoretest.Scale, "")
	require.Positive(t, repeats, "the crashes have shown")
	t.Logf("%d repeats, kills: %v", repeats, hits)
}

func TestTortureOfARelayCatchesItsMutant(t *testing.T) {
	_, hits := killed(t, 1, "hasty")
	t.Log(hits)
}

// killed publishes a log by processes that kill themselves at each point so often, and checks what has arrived.
func killed(t *testing.T, times int, bug string) (repeats int, hits map[string]int) {
	const keys = 8
	path := filepath.Join(t.TempDir(), "log.db")
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(context.Background())) }()
	each, hits := 0, map[string]int{}
	for round := range times * len(points) {
		add(t, store, many(keys, 10)...)
		each += 10
		point := points[round%len(points)]
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		child := exec.CommandContext(ctx, os.Args[0])
		child.Env = append(os.Environ(), childPath+"="+path, childPoint+"="+point, childAfter+"="+strconv.Itoa(rand.N(2)), childBug+"="+bug)
		child.Stderr = os.Stderr
		err := child.Run()
		require.NoError(t, ctx.Err(), "the child did not come to %q", point)
		cancel()
		exit, ok := errors.AsType[*exec.ExitError](err)
		require.True(t, ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL, "the child ended with %v", err)
		hits[point]++
	}
	file, err := os.OpenFile(path+".bus", os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	r := relay.Relay{Name: "orders", Log: store, Sink: store.Sink(), Publisher: fileBus{file, &suicide{}}, Window: 40}
	require.NoError(t, r.CatchUp(t.Context()))
	repeats, err = arrivedInOrder(path+".bus", keys, eventstore.Version(each))
	if bug == "" {
		require.NoError(t, err)
	} else {
		require.Error(t, err)
		t.Log(err)
	}
	return repeats, hits
}

// arrivedInOrder reads a bus that is a file.
func arrivedInOrder(path string, keys int, each eventstore.Version) (repeats int, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	last, ids := map[string]eventstore.Version{}, map[string]arrival{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var a arrival
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return repeats, err
		}
		if before, there := ids[a.ID]; there {
			if repeats++; before != a {
				return repeats, fmt.Errorf("%v and %v have one id", before, a)
			}
			continue
		}
		if ids[a.ID] = a; a.Version != last[a.Key]+1 {
			return repeats, fmt.Errorf("%s: version %d arrived behind version %d", a.Key, a.Version, last[a.Key])
		}
		last[a.Key] = a.Version
	}
	if len(ids) != keys*int(each) {
		return repeats, fmt.Errorf("%d messages have arrived, want %d", len(ids), keys*int(each))
	}
	return repeats, nil
}
