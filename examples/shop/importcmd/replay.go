package importcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
)

// replayed is what the replay did.
type replayed struct {
	events eventstore.Position
	rows   int
	same   error // nil if both read models hold the same rows
	took   time.Duration
}

// replay builds the read models a second time, from position 0 and in a file of their
// own, and compares them with the live ones.
func (v *verb) replay(ctx context.Context, shop *app.App, store *sqlite.Store) (r replayed, err error) {
	place, err := v.reserve(ctx)
	if err != nil {
		return r, fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, place.leave()) }()
	second, err := sqlite.OpenSink(ctx, place.file)
	if err != nil {
		return r, fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	head, err := store.Head(ctx)
	if err != nil {
		return r, fmt.Errorf("replay: %w", err)
	}
	r.events = head.Position

	start := time.Now()
	runner := shop.ProjectionsInto(second)
	bar := cli.NewBar(v.stderr, "replay", int64(head.Position)*int64(len(runner.Tasks)))
	runner.OnProgress = bar.Follow(start)
	err = runner.CatchUp(ctx)
	bar.Finish(err == nil)
	if err != nil {
		return r, fmt.Errorf("replay: %w", err)
	}
	r.took = time.Since(start)
	r.rows, r.same = app.Compare(ctx, store.Sink(), second)
	return r, ctx.Err()
}

// place is where a replay writes. Only one process at a time has it, so what lies there
// was left behind by a run that was killed.
type place struct {
	file string
	lock *os.File
}

const lookAgain = 50 * time.Millisecond

// reserve waits until no other process replays in the directory, and clears it.
func (v *verb) reserve(ctx context.Context) (place, error) {
	lock, err := os.OpenFile(filepath.Join(v.dir, "replay.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return place{}, err
	}
	p := place{filepath.Join(v.dir, "replay.db"), lock}
	if err := v.await(ctx, lock); err != nil {
		return place{}, errors.Join(err, lock.Close())
	}
	if err := p.clear(); err != nil {
		return place{}, errors.Join(err, lock.Close())
	}
	return p, nil
}

func (v *verb) await(ctx context.Context, lock *os.File) error {
	for told := false; ; told = true {
		if got, err := tryLock(lock); got || err != nil {
			return err
		}
		if !told {
			fmt.Fprintf(v.stderr, "replay: waiting for another import that replays in %s\n", v.dir)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

func (p place) clear() error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(p.file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// leave removes the replay's file and lets the next one in. The lock's own file stays:
// removed, it could be locked by two processes, one of which has opened it before.
func (p place) leave() error { return errors.Join(p.clear(), p.lock.Close()) }
