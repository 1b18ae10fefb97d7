package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// RebuildOptions are the choices of [Rebuild]. The zero value works.
type RebuildOptions struct {
	// Name says where the rebuild runs, for people. Default: the name of the host.
	Name string
	// Segments is how many segments the generation is built in. Default: as many as Go may use
	// processors.
	Segments int
	// TTL is how long a lease lasts: another process that rebuilds the same goes on with what one
	// that died has held. Default: 10 s.
	TTL time.Duration
	// Window is the most positions of the log to apply in one transaction. Default: 50,000.
	Window int
	// Sample is how many keys to verify, see [AuditOptions].Sample. Default: 100.
	Sample int
	// OnProgress is told how it goes: when the phase changes, and now and then. Default: nobody is.
	OnProgress func(RebuildProgress)
}

// RebuildProgress tells how far a rebuild has come, whichever processes work on it.
type RebuildProgress struct {
	Generation Generation
	Phase      Phase
	// Done is the position that the keys have come to on average, Total the log's newest.
	Done, Total eventstore.Position
	// Rate is in events a second, and ETA how long the rest takes at this rate; 0: not known.
	Rate float64
	ETA  time.Duration
	// Note is what keeps it from going on, for people; empty: nothing.
	Note string
}

// Phase is what a rebuild is doing.
type Phase string

// The phases of a rebuild, in order.
const (
	Replaying Phase = "replaying" // the log, up to where its head was at the start
	Indexing  Phase = "indexing"
	Verifying Phase = "verifying" // rows against another fold of the log
	Switching Phase = "switching" // which waits until no row is older than the live one's
	Switched  Phase = "switched"
)

// Rebuild builds a new generation of a read model beside the live one and replaces that. It replays
// the log in large windows, several segments at a time, into tables without secondary indexes; makes
// the indexes; catches up; compares sampled rows with a second fold of the log; and makes the
// generation live, in one step in which no reader sees an error or an older row. The
// old one is kept, and kept up to date by the workers that have it, until it is retired: see
// [Rollback] and [Retire].
//
// The task is a view of a higher version than the live one's, or a [Handler] that is Apart. A
// [Worker] of the new program does the same by itself; Rebuild is for doing it before that is
// deployed, and for watching. Several processes may rebuild the same: they share the work.
//
// If it fails, or dies at any moment, the live generation is as it was, and calling it again goes
// on from there. Errors: [ErrLive] if the version is live already: raise it, or see [Reset];
// [DriftError]; [ErrOutdated]; those of a segment that cannot go on. What was built stays; [Retire]
// removes it.
func Rebuild(ctx context.Context, log eventstore.LogReader, events *codec.Set, task Task, o RebuildOptions) error {
	if log == nil || task.bind == nil {
		return errors.New("projection.Rebuild: a log and a task are required")
	}
	if o.Segments < 0 || o.Segments > eventstore.Slices {
		return fmt.Errorf("projection.Rebuild: %d segments: want 1 to %d", o.Segments, eventstore.Slices)
	}
	b, err := task.resolve(events)
	if err != nil {
		return err
	}
	if err := replaceable(ctx, b.sink, task.generation); err != nil {
		return fmt.Errorf("rebuild %s: %w", task.generation, err)
	}
	w := Worker{
		Log: log, Events: events, Name: o.Name, TTL: o.TTL,
		Segments: cmp.Or(o.Segments, runtime.GOMAXPROCS(0)), Window: cmp.Or(max(o.Window, 0), bulk*liveWindow),
	}
	building, err := task.open(ctx, log, b)
	if err != nil {
		return err
	}
	building.id = w.newID()
	building.sample, building.onProgress = o.Sample, o.OnProgress
	return building.build(ctx, w.engine(building).Run)
}

// bulk is how many times larger the windows are while a generation is built.
const (
	bulk       = 10
	liveWindow = 5000
)

// replaceable refuses generations that are no replacement.
func replaceable(ctx context.Context, sink Checkpoints, of Generation) error {
	builds, err := sink.Builds(ctx, of.Name)
	if err != nil {
		return err
	}
	b, _ := FindBuild(builds, of)
	switch b.Stage {
	case Live:
		return fmt.Errorf("%w already: raise its version, or empty it in place by projection.Reset", ErrLive)
	case Kept:
		return errors.New("it was live before: call projection.Rollback, or raise its version")
	}
	return nil
}

// building is a task whose sink is ready, and what there is to do until its generation is live.
type building struct {
	task   Task
	bound  bound
	log    eventstore.LogReader
	source eventstore.StoreID
	stage  Stage                 // when it was opened
	id     subscription.WorkerID // who decides; empty: whoever asks

	sample     int                   // as in RebuildOptions
	onProgress func(RebuildProgress) // nil: nobody is told
	onError    func(error)           // is told what may pass, which is waited for; nil: it ends with that

	goal            eventstore.Position // to be reached before the next step
	indexed, agrees bool
	tries           int // of the switch
	told            RebuildProgress
	began           time.Time
	from            eventstore.Position
}

// How long to wait between two looks.
const (
	shortLook = 5 * time.Millisecond
	longLook  = 200 * time.Millisecond
	afterErr  = time.Second
)

// build has the engine apply the log until the generation is live.
func (b *building) build(ctx context.Context, engine func(ctx context.Context) error) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- engine(working)
		stop() // without it, there is nothing to wait for
	}()
	err := b.finish(working)
	stop()
	engineErr := <-ended
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case engineErr != nil:
		return engineErr // finish was only told to stop
	}
	return fmt.Errorf("build %s: %w", b.task.generation, err)
}

// finish does what there is to do beside the engine, one step after the other. Each step may be done
// again: by whoever goes on after a crash.
func (b *building) finish(ctx context.Context) error {
	tries := 0
	for pause := shortLook; ; pause = min(2*pause, longLook) {
		phase := b.told.Phase
		done, err := b.step(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case done:
			return nil
		case err == nil:
			tries = 0
		case isFinal(err):
			return err
		case b.onError != nil:
			b.onError(fmt.Errorf("build %s: %w", b.task.generation, err))
		case !errors.Is(err, eventstore.ErrStoreBusy):
			if tries++; tries == maxTries {
				return err
			}
		}
		switch {
		case err != nil:
			pause = afterErr // whoever waited for us meanwhile has a turn
		case b.told.Phase != phase || b.told.Phase == Switching:
			pause = shortLook
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// maxTries is how many times in a row a step may fail.
const maxTries = 3

// isFinal reports whether waiting does not help.
func isFinal(err error) bool {
	_, drifted := errors.AsType[*DriftError](err)
	return drifted || errors.Is(err, ErrOutdated) || errors.Is(err, ErrNotBuilt) || errors.Is(err, subscription.ErrPermanent)
}

// step looks where the generation stands and does what is next, if it is ours to do.
func (b *building) step(ctx context.Context) (done bool, err error) {
	builds, err := b.bound.sink.Builds(ctx, b.task.generation.Name)
	if err != nil {
		return false, err
	}
	head, err := b.log.Head(ctx)
	if err != nil {
		return false, fmt.Errorf("read the head: %w", err)
	}
	next, there := FindBuild(builds, b.task.generation)
	live, isLive := LiveBuild(builds)
	if !there {
		return false, fmt.Errorf("%w: it was retired meanwhile", ErrNotBuilt)
	}
	if b.began.IsZero() {
		b.goal, b.began, b.from = head.Position, time.Now(), next.done(b.source)
		b.tell(Replaying, next, head.Position, "")
	}
	at, _ := next.position(b.source)
	switch {
	case next.Stage != Building && at >= b.goal:
		b.tell(Switched, next, head.Position, "")
		return true, nil
	case isLive && next.Stage == Building && live.Version > next.Version:
		return false, fmt.Errorf("%w: %s", ErrOutdated, live.Generation)
	case at < b.goal:
		note, err := b.stuck(ctx)
		b.tell(b.told.Phase, next, head.Position, note)
		return false, err
	}
	ours, err := b.isOurs(ctx)
	if err != nil || !ours {
		b.tell(b.told.Phase, next, head.Position, "")
		return false, err
	}
	switch {
	case !b.indexed:
		b.tell(Indexing, next, head.Position, "")
		if err := b.bound.sink.Index(ctx, b.bound.model); err != nil {
			return false, fmt.Errorf("make its indexes: %w", err)
		}
		b.indexed, b.goal = true, head.Position
	case !b.agrees:
		b.tell(Verifying, next, head.Position, "")
		if err := b.verify(ctx, live, isLive); err != nil {
			return false, err
		}
		b.agrees = true
	default:
		b.tell(Switching, next, head.Position, "")
		err := b.promote(ctx, next, live)
		if behind, ok := errors.AsType[*BehindError](err); ok {
			note := behind.Error()
			if behind.Want > head.Position {
				note += "; that is past the end of the log: if the log was rolled back, call projection.Reset for the live one"
			}
			b.tell(Switching, next, head.Position, note)
			return false, nil
		}
		return false, err
	}
	return false, nil
}

// promote tries to make the generation live. Of two that are at the head of a busy log each may be
// behind the other at any moment, the more so the more segments they have. So after some tries
// the live one is made to stand still.
func (b *building) promote(ctx context.Context, next, live Build) error {
	err := next.Reaches(live) // without any lock: most often it tells
	if err == nil {
		err = b.bound.sink.Promote(ctx, b.task.generation)
	}
	if _, behind := errors.AsType[*BehindError](err); !behind {
		return err
	}
	if b.tries++; b.tries < freeTries {
		return err
	}
	err = b.promoteWhileHeld(ctx, live)
	if _, behind := errors.AsType[*BehindError](err); behind {
		b.tries = 0
	}
	return err
}

// How often the switch is tried before the live generation is held, and for how long.
const (
	freeTries = 20
	heldFor   = 2 * time.Second
)

// promoteWhileHeld waits until the generation has come to where the live one stands still. Whoever
// reads that one reads on; its workers take its segments back when we are done, or have died.
func (b *building) promoteWhileHeld(ctx context.Context, live Build) error {
	leases, switcher := b.bound.sink.Leases(live.Generation, b.source), subscription.NewWorkerID("switch")
	roster, err := leases.Roster(ctx)
	if err != nil {
		return fmt.Errorf("hold %s: %w", live.Generation, err)
	}
	if len(roster.Segments) > 0 && roster.Segments[0].Holder == subscription.Inline {
		return fmt.Errorf("%s moves with every append, because the store applies it inline: open the store with %s in its place and call SwitchInline", live.Generation, b.task.generation)
	}
	held, err := leases.Seize(ctx, switcher, heldFor)
	if err != nil {
		return fmt.Errorf("hold %s: %w", live.Generation, err)
	}
	defer func() {
		after := context.WithoutCancel(ctx)
		for _, at := range held {
			_ = leases.Release(after, switcher, at) // else it ends by itself
		}
	}()
	for end := time.Now().Add(heldFor / 2); ; {
		err := b.bound.sink.Promote(ctx, b.task.generation)
		if _, behind := errors.AsType[*BehindError](err); !behind || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(shortLook):
		}
	}
}

// isOurs reports whether the steps beside the engine are ours: they are the business of whoever
// holds the first segment.
func (b *building) isOurs(ctx context.Context) (bool, error) {
	if b.id == "" {
		return true, nil
	}
	roster, err := b.bound.sink.Leases(b.task.generation, b.source).Roster(ctx)
	return err == nil && len(roster.Segments) > 0 && roster.Segments[0].Holder == b.id, err
}

// stuck returns what keeps a segment from going on; that is an error unless we are to wait.
func (b *building) stuck(ctx context.Context) (note string, err error) {
	if b.id == "" {
		return "", nil
	}
	roster, err := b.bound.sink.Leases(b.task.generation, b.source).Roster(ctx)
	if err != nil {
		return "", err
	}
	for _, l := range roster.Segments {
		if l.Holder == "" || l.Report.Fence != l.Fence || l.Report.State == subscription.Running || l.Report.State == "" {
			continue
		}
		note = fmt.Sprintf("segment %s: %s", l.Segment, l.Report.Note)
		if b.onError == nil && l.Report.State != subscription.Waiting {
			return note, fmt.Errorf("%w: %s", subscription.ErrPermanent, note)
		}
	}
	return note, nil
}

// verify compares sampled rows with the log, and what is parked with what is parked of the live
// generation.
func (b *building) verify(ctx context.Context, live Build, isLive bool) error {
	if b.bound.audit == nil {
		return nil // a handler's rows are its author's business
	}
	parked, err := b.bound.sink.Parked(ctx, b.task.generation, b.source)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	if isLive {
		old, err := b.bound.sink.Parked(ctx, live.Generation, b.source)
		if err != nil {
			return err
		}
		for _, p := range old {
			known[p.Key] = true
		}
	}
	for _, p := range parked {
		if !known[p.Key] {
			return fmt.Errorf("key %q is parked since position %d, and not in %s: %s; mend its cause and call projection.Retry, or projection.Skip", p.Key, p.Event.Position, live.Generation, p.Cause)
		}
	}
	report, err := b.bound.audit(ctx, b.log, AuditOptions{Sample: b.sample})
	if err != nil {
		return err
	}
	var drifted []Difference
	for _, d := range report.Differences {
		if d.Err == nil { // else the key was skipped by somebody
			drifted = append(drifted, d)
		}
	}
	if len(drifted) > 0 {
		return &DriftError{b.task.generation, drifted}
	}
	return nil
}

func (b *building) tell(phase Phase, next Build, head eventstore.Position, note string) {
	p := RebuildProgress{Generation: b.task.generation, Phase: phase, Done: next.done(b.source), Total: head, Note: note}
	if took := time.Since(b.began).Seconds(); took > 0 && p.Done > b.from {
		p.Rate = float64(p.Done-b.from) / took
		p.ETA = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	b.told = p
	if b.onProgress != nil {
		b.onProgress(p)
	}
}

// keep keeps a task's read model up to date, after it has built the generation if that is not
// live yet.
func (w Worker) keep(ctx context.Context, b *building) error {
	if b.stage == Building {
		b.onProgress, b.onError = w.Hooks.Rebuild, func(error) {}
		if tell := w.Hooks.Failed; tell != nil {
			b.onError = func(err error) { tell(b.task.generation, err) }
		}
		builder := w
		builder.Segments, builder.Window = max(w.Segments, runtime.GOMAXPROCS(0)), bulk*cmp.Or(max(w.Window, 0), liveWindow)
		err := b.build(ctx, builder.engine(b).Run)
		if err != nil {
			return err
		}
	}
	return w.engine(b).Run(ctx)
}
