package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// talliesAt is the view of tallies at a version, whose rows are those of the first.
func talliesAt(version int) *projection.View[tally] {
	return projection.NewView("tallies", projection.ViewOptions{Version: version, Indexes: []string{"sum", "last"}},
		projection.When(count),
		projection.When(func(row *tally, _ cleared, _ eventstore.Recorded) { *row = tally{ID: row.ID} }))
}

// versionVariable is the environment variable that tells a process which version to build.
const versionVariable = "LEFTFOLD_TEST_REBUILD"

// RebuildUntilKilled is what each process does that start starts for [RunRebuilds], with a store
// and a sink that it has opened itself. It writes a line to out at the beginning of each phase.
func RebuildUntilKilled(ctx context.Context, p Parts, out io.Writer) error {
	version, err := strconv.Atoi(os.Getenv(versionVariable))
	if err != nil {
		return err
	}
	last := projection.Phase("")
	return projection.Rebuild(ctx, p.Store, tallyEvents, projection.Into[tally](unhurried{p.Sink}, talliesAt(version)), projection.RebuildOptions{
		Window: 100, Segments: 3, TTL: tortureTTL,
		OnProgress: func(p projection.RebuildProgress) {
			if p.Phase != last {
				last = p.Phase
				_, _ = fmt.Fprintln(out, p.Phase)
			}
		},
	})
}

// unhurried gives a kill room before and after each step of a rebuild.
type unhurried struct{ projection.Sink }

func unhurriedly(do func() error) error {
	time.Sleep(rand.N(4 * time.Millisecond))
	err := do()
	time.Sleep(rand.N(4 * time.Millisecond))
	return err
}

func (s unhurried) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	return unhurriedly(func() error { return s.Sink.Commit(ctx, model, move, changes) })
}

func (s unhurried) Index(ctx context.Context, model projection.Model) error {
	return unhurriedly(func() error { return s.Sink.Index(ctx, model) })
}

func (s unhurried) Promote(ctx context.Context, of projection.Generation) error {
	return unhurriedly(func() error { return s.Sink.Promote(ctx, of) })
}

func (s unhurried) Load(ctx context.Context, model projection.Model, keys []string) (rows []projection.Row, err error) {
	err = unhurriedly(func() error {
		rows, err = s.Sink.Load(ctx, model, keys)
		return err
	})
	return rows, err
}

// agreesAt compares the rows of a version of the view with a count of the log that shares no
// code with it, when it has caught up.
func (p Parts) agreesAt(ctx context.Context, version int) error {
	view := talliesAt(version)
	if err := p.applied(ctx, view.Generation()); err != nil { // by a worker of its own
		return err
	}
	want, err := p.counts(ctx)
	if err != nil {
		return err
	}
	got := map[string]tally{}
	for row, err := range projection.NewReader(p.Sink, view).All(ctx, projection.ListQuery{By: "sum"}) {
		if err != nil {
			return err
		}
		got[row.ID] = row
	}
	return same(view.Generation().String(), got, want)
}

// counts returns what the log has for each stream.
func (p Parts) counts(ctx context.Context) (map[string]tally, error) {
	want := map[string]tally{}
	read, err := p.Store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return nil, err
	}
	for m, err := range read.Events() {
		if err != nil {
			return nil, err
		}
		var amount int64
		if m.Type != "test.counted" {
			continue
		}
		if _, err := fmt.Sscanf(string(m.Data), `{"Amount":%d}`, &amount); err != nil {
			return nil, err
		}
		key := m.Stream.ID()
		row := want[key]
		want[key] = tally{ID: key, Events: row.Events + 1, Sum: row.Sum + amount, Last: int64(m.Position)}
	}
	return want, nil
}

// liveVersion returns the version of the tallies that is live, which exactly one must be.
func (p Parts) liveVersion(ctx context.Context) (version int, err error) {
	builds, err := p.Sink.Builds(ctx, "tallies")
	lives := 0
	for _, b := range builds {
		if b.Stage == projection.Live {
			version = b.Version
			lives++
		}
	}
	if err == nil && lives != 1 {
		err = fmt.Errorf("%d versions are live: %+v", lives, builds)
	}
	return version, err
}

var errNotKilled = errors.New("not tested: no process was killed in this phase")

// keepAppending appends to so many streams, one event at a time, until ctx ends.
func (p Parts) keepAppending(ctx context.Context, streams int, pause time.Duration) error {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		_, err := p.append(context.WithoutCancel(ctx), fmt.Sprintf("s%d", rand.IntN(streams)), counted{int64(n)})
		if err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
}
