package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Worker applies a subscription together with every other worker on the same leases, in this
// process and in others. Each has about the same number of segments; what one that dies or
// stops held is taken over by the others, at the latest when its leases have ended.
//
// Fill it in and call Run, once.
type Worker struct {
	// Name is the subscription's, for errors and progress. Required.
	Name string
	// ID names this run of the worker. Required; see [NewWorkerID].
	ID WorkerID
	// Log and Query are what to apply. Required; the zero query is everything.
	Log   eventstore.LogReader
	Query eventstore.Query
	// Leases are those of the subscription. Required.
	Leases Leases
	// Target returns the target of a segment: it applies, of each window, what concerns the keys
	// of the segment, and answers [ErrStale] unless the checkpoint of that segment, fence
	// included, is the window's From. Its Checkpoint is not asked. Required.
	Target func(Segment) Target

	// Segments is how many segments there should be; workers split and merge until there are.
	// All workers of a subscription should say the same. Default: 1.
	Segments int
	// TTL is how long a lease lasts. A worker that dies is replaced after this time at the
	// latest; one that is paused for longer has lost its segments. Default: 10 s.
	TTL time.Duration
	// Options are those of each segment's subscription. OnProgress is called from a goroutine
	// for each segment.
	Options Options
	// OnError is called with what keeps the worker from attending or from changing who holds
	// what; it tries again. Default: nobody is told.
	OnError func(error)
	// OnReport is called when the state of a segment changes, from the segment's goroutine.
	// Default: nobody is told.
	OnReport func(Report)

	deadline  atomic.Int64 // until when our leases last for certain, in nanoseconds since start
	start     time.Time
	feed      *feed
	held      map[Segment]*holding
	stuck     map[Segment]*holding  // those that should stop and have not yet
	free      map[Segment]time.Time // since when we have seen nobody hold a segment
	settled   time.Time             // until then there are not too many segments, whatever we want
	mergeFrom time.Time             // after a merge that failed we try none until then
	news      chan struct{}         // some holding has ended by itself, or does otherwise than before
	seized    bool                  // somebody holds a segment who is no worker
}

// The share of the TTL after which a worker attends again, and of that which it does not trust.
const (
	attendEvery = 3
	leaseMargin = 5
)

// seizedPause is short: what was seized will be free in a moment.
const seizedPause = 20 * time.Millisecond

// Run works until ctx ends, then gives its segments back and returns nil. Before that it
// returns only the errors of a subscription that cannot work any more: one that was never
// opened, or [ErrPermanent] from its leases. A segment that fails is tried again and again
// while that may help; its [Report] says how it does, and the other segments go on.
func (w *Worker) Run(ctx context.Context) error {
	if w.TTL <= 0 {
		w.TTL = 10 * time.Second
	}
	w.Segments = max(w.Segments, 1)
	w.start, w.news = time.Now(), make(chan struct{}, 1)
	w.held, w.stuck, w.free = map[Segment]*holding{}, map[Segment]*holding{}, map[Segment]time.Time{}
	w.feed = newFeed(context.WithoutCancel(ctx), newSource(w.Log, w.Query, w.Options)) // it outlasts those who read
	defer w.feed.close()
	defer w.leave(context.WithoutCancel(ctx))
	for {
		err := w.turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		pause := w.TTL / attendEvery
		if w.seized {
			pause = min(pause, seizedPause)
		}
		switch {
		case errors.Is(err, ErrNoSegment):
			return fmt.Errorf("%s: %w: open its read model first", w.Name, err)
		case errors.Is(err, ErrPermanent):
			return fmt.Errorf("%s: %w", w.Name, err)
		case err != nil: // the leases go on for a while; a store that is away may be back soon
			pause /= 4
			w.tell(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.news:
		case <-time.After(pause - rand.N(pause/5+1)): // not all workers at one moment
		}
	}
}

func (w *Worker) tell(err error) {
	if w.OnError != nil {
		w.OnError(fmt.Errorf("%s: %w", w.Name, err))
	}
}

// turn attends and then changes at most a little of who holds what. What has no answer after the
// TTL is given up: our leases have ended by then.
func (w *Worker) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.TTL)
	defer cancel()
	asked := time.Now()
	roster, err := w.Leases.Attend(ctx, w.ID, w.TTL, w.reports())
	if err != nil {
		return err
	}
	if len(roster.Segments) == 0 {
		return ErrNoSegment
	}
	w.deadline.Store(int64(asked.Sub(w.start) + w.TTL - w.TTL/leaseMargin))
	w.seized = slices.ContainsFunc(roster.Segments, func(l Lease) bool {
		return l.Holder != "" && l.Holder != w.ID && !slices.Contains(roster.Workers, l.Holder)
	})
	w.drop(roster)
	return w.balance(ctx, roster)
}

// drop stops what we do not hold any more.
func (w *Worker) drop(roster Roster) {
	var lost []*holding
	for segment, h := range w.held {
		stillOurs := slices.ContainsFunc(roster.Segments, func(l Lease) bool {
			return l.Segment == segment && l.Holder == w.ID && l.Fence == h.at.Fence
		})
		if !stillOurs || h.isOver() {
			lost = append(lost, h)
		}
	}
	if err := w.stop(lost...); err != nil {
		w.tell(err)
	}
	maps.DeleteFunc(w.stuck, func(_ Segment, h *holding) bool { return h.isOver() })
}

// balance brings us nearer to our share. If there are more segments than wanted, the first of
// the workers gets all of them, because only a holder of both neighbours can merge them. If it
// does not want that, as where two builds say other numbers, a segment would be left alone:
// then there are as many as there are.
func (w *Worker) balance(ctx context.Context, roster Roster) error {
	if w.leftAlone(roster) {
		w.settled = time.Now().Add(restAfterLeft * w.TTL)
	}
	tooMany := len(roster.Segments) > w.Segments && time.Now().After(w.settled) && canMerge(roster)
	share := (len(roster.Segments) + len(roster.Workers) - 1) / max(len(roster.Workers), 1)
	if tooMany {
		share = 0
		if len(roster.Workers) > 0 && roster.Workers[0] == w.ID {
			share = len(roster.Segments)
		}
	}
	for n := len(w.held); n > share; n-- {
		if err := w.release(ctx, w.sorted()[n-1]); err != nil {
			return err
		}
	}
	if err := w.take(ctx, roster, share); err != nil {
		return err
	}
	switch {
	case tooMany && time.Now().After(w.mergeFrom):
		return w.merge(ctx, len(roster.Segments)-w.Segments)
	case len(roster.Segments) < w.Segments:
		return w.splitWidest(ctx, roster)
	default:
		return nil
	}
}

// canMerge reports whether some two neighbours do well.
func canMerge(roster Roster) bool {
	wells := 0
	for _, l := range roster.Segments {
		if l.Report.State != Running && l.Report.State != "" {
			wells = 0
		} else if wells++; wells == 2 {
			return true
		}
	}
	return false
}

// How long a segment may be free before it counts as left alone, how long after that we do not
// think of merging, and how long after a merge that failed we try no other, in TTLs.
const (
	leftAfter        = 2
	restAfterLeft    = 20
	restAfterFailure = 5
)

// leftAlone reports whether nobody has held some segment for long.
func (w *Worker) leftAlone(roster Roster) (left bool) {
	seen := map[Segment]time.Time{}
	for _, l := range roster.Segments {
		if l.Holder != "" {
			continue
		}
		since, known := w.free[l.Segment]
		if !known {
			since = time.Now()
		}
		seen[l.Segment] = since
		left = left || time.Since(since) > leftAfter*w.TTL
	}
	w.free = seen
	return left
}

// take acquires free segments up to our share. Each worker begins elsewhere, so that not all
// try for the same ones.
func (w *Worker) take(ctx context.Context, roster Roster, share int) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(w.ID))
	first := int(h.Sum32() % uint32(len(roster.Segments)))
	for n := range roster.Segments {
		l := roster.Segments[(first+n)%len(roster.Segments)]
		if len(w.held) >= share {
			return nil
		}
		if l.Holder != "" && l.Holder != w.ID || w.held[l.Segment] != nil || w.stuck[l.Segment] != nil {
			continue
		}
		at, err := w.Leases.Acquire(ctx, w.ID, l.Segment, w.TTL)
		switch {
		case errors.Is(err, ErrHeld) || errors.Is(err, ErrNoSegment):
			continue // somebody was faster
		case err != nil:
			return err
		}
		w.begin(ctx, at)
	}
	return nil
}

func (w *Worker) release(ctx context.Context, h *holding) error {
	if err := w.stop(h); err != nil {
		return err
	}
	return w.Leases.Release(ctx, w.ID, h.at)
}

// splitWidest splits the widest of all segments, if we hold it, until there are enough. Of
// several that are as wide it is the first, so that no two workers split at a time.
func (w *Worker) splitWidest(ctx context.Context, roster Roster) error {
	var all []Segment
	for _, l := range roster.Segments {
		all = append(all, l.Segment)
	}
	for len(all) < w.Segments {
		widest := slices.MaxFunc(all, func(a, b Segment) int { return cmp.Compare(a.Width(), b.Width()) })
		h := w.held[widest]
		if h == nil || widest.Width() < 2 {
			return nil
		}
		if err := w.stop(h); err != nil {
			return err
		}
		low, high, err := w.Leases.Split(ctx, w.ID, h.at, widest.First+eventstore.Slice(widest.Width()/2))
		if err != nil {
			return ignoreFenced(err)
		}
		w.begin(ctx, low)
		w.begin(ctx, high)
		all = append(slices.DeleteFunc(all, func(s Segment) bool { return s == widest }), low.Segment, high.Segment)
	}
	return nil
}

// merge merges neighbours so many times, as far as that goes without attending late.
func (w *Worker) merge(ctx context.Context, times int) error {
	for start := time.Now(); times > 0 && time.Since(start) < w.TTL/(2*attendEvery); times-- {
		if merged, err := w.mergeOne(ctx); err != nil || !merged {
			return err
		}
	}
	return nil
}

// mergeOne merges the first two neighbours that we hold and that do well, after the one that is
// behind has come to where the other is. If it does not get there, both go on as they are: what
// keeps it fails in its own subscription too, which says so.
func (w *Worker) mergeOne(ctx context.Context) (merged bool, err error) {
	all := w.sorted()
	for n := range len(all) - 1 {
		low, high := all[n], all[n+1]
		if low.at.Segment.End != high.at.Segment.First || low.report().State != Running || high.report().State != Running {
			continue
		}
		if err := w.stop(low, high); err != nil {
			return false, err // the leases of both end, unless we take one again
		}
		var joined Checkpoint
		a, b, err := w.level(ctx, low, high)
		level := err == nil
		if level {
			joined, err = w.Leases.Merge(ctx, w.ID, a, b)
		}
		if err == nil {
			w.begin(ctx, joined)
			return true, nil
		}
		w.mergeFrom = time.Now().Add(restAfterFailure * w.TTL)
		w.begin(ctx, low.at)
		w.begin(ctx, high.at)
		if !level {
			return false, nil
		}
		return false, ignoreFenced(err)
	}
	return false, nil
}

// level brings the one of two stopped segments that is behind to the checkpoint of the other,
// if that does not take long: we do not attend meanwhile.
func (w *Worker) level(ctx context.Context, low, high *holding) (a, b Checkpoint, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.TTL/attendEvery)
	defer cancel()
	if a, err = low.Checkpoint(ctx, eventstore.StoreID{}); err != nil {
		return a, b, err
	}
	if b, err = high.Checkpoint(ctx, eventstore.StoreID{}); err != nil {
		return a, b, err
	}
	switch {
	case a.Position() < b.Position():
		a, err = low.subscription().advance(ctx, a, b)
	case b.Position() < a.Position():
		b, err = high.subscription().advance(ctx, b, a)
	}
	return a, b, err
}

// ignoreFenced is for changes of segments that we have lost meanwhile: whoever has them will
// do it.
func ignoreFenced(err error) error {
	if errors.Is(err, ErrFenced) || errors.Is(err, ErrStale) || errors.Is(err, ErrNoSegment) {
		return nil
	}
	return err
}

// sorted returns what we hold, in the order of the segments.
func (w *Worker) sorted() (all []*holding) {
	for _, h := range w.held {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b *holding) int { return cmp.Compare(a.at.Segment.First, b.at.Segment.First) })
	return all
}

func (w *Worker) reports() (all []Report) {
	for _, h := range w.sorted() {
		all = append(all, h.report())
	}
	return all
}

// leave gives everything back, so that others need not wait for the leases to end.
func (w *Worker) leave(ctx context.Context) {
	all := w.sorted()
	_ = w.stop(all...) // what does not stop is waited for at the end
	ctx, cancel := context.WithTimeout(ctx, w.TTL/attendEvery)
	defer cancel()
	for _, h := range all {
		if h.isOver() {
			_ = w.Leases.Release(ctx, w.ID, h.at) // else it ends by itself
		}
	}
	_, _ = w.Leases.Attend(ctx, w.ID, 0, nil)
	for _, h := range w.stuck {
		<-h.done
	}
}

// holding is a segment that we hold, and its subscription, which runs until it is stopped or
// has lost the segment.
type holding struct {
	worker *Worker
	at     Checkpoint // when it began
	target Target
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	last Report
}

// begin runs the subscription of a segment that we have acquired, until it is stopped.
func (w *Worker) begin(ctx context.Context, at Checkpoint) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlasts the turn; leave stops it
	h := &holding{worker: w, at: at, target: w.Target(at.Segment), cancel: cancel, done: make(chan struct{})}
	h.last = Report{Segment: at.Segment, Fence: at.Fence, State: Running, At: time.Now()}
	w.held[at.Segment] = h
	go h.run(ctx)
}

// stop ends holdings and waits for them: after that nothing of them is under way. It does not wait
// long, because we do not attend meanwhile. A holding that does not stop loses its lease, and
// whoever has the segment then is safe from it by the fence.
func (w *Worker) stop(all ...*holding) (err error) {
	for _, h := range all {
		h.cancel()
		delete(w.held, h.at.Segment)
	}
	late, cancel := context.WithTimeout(context.Background(), w.TTL/attendEvery)
	defer cancel()
	for _, h := range all {
		select {
		case <-h.done:
		case <-late.Done():
		}
		if !h.isOver() {
			w.stuck[h.at.Segment] = h
			err = errors.Join(err, fmt.Errorf("segment %s does not stop: its target does not return though its context has ended", h.at.Segment))
		}
	}
	return err
}

func (h *holding) isOver() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// How long a segment that failed, though the failure may pass, waits before it goes on.
const (
	firstRest = time.Second
	maxRest   = 30 * time.Second
)

func (h *holding) run(ctx context.Context) {
	defer func() {
		close(h.done)
		h.worker.wake()
	}()
	for rest := firstRest; ; rest = min(2*rest, maxRest) {
		err := h.subscription().Run(ctx)
		if h.report().State == Running { // it has come on since it failed last
			rest = firstRest
		}
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, ErrFenced) || errors.Is(err, ErrNoSegment):
			return
		case errors.Is(err, eventstore.ErrDiverged):
			h.say(Diverged, err)
			<-ctx.Done()
			return
		case errors.Is(err, ErrPermanent) || errors.Is(err, eventstore.ErrForeignToken):
			h.say(Failed, err)
			<-ctx.Done()
			return
		}
		h.say(Waiting, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

func (h *holding) subscription() *Subscription {
	o := h.worker.Options
	tell := o.OnProgress
	o.OnProgress = func(p Progress) {
		h.progress(p)
		if tell != nil {
			tell(p)
		}
	}
	s := New(h.worker.Name, h.worker.Log, h.worker.Query, h, o)
	s.feed = h.worker.feed
	s.stillBusy = func(err error) {
		if h.report().State == Running {
			h.say(Waiting, err)
		}
	}
	return s
}

// Checkpoint returns the segment's, as long as we hold it.
func (h *holding) Checkpoint(ctx context.Context, _ eventstore.StoreID) (Checkpoint, error) {
	roster, err := h.worker.Leases.Roster(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, l := range roster.Segments {
		if l.Segment != h.at.Segment {
			continue
		}
		if l.Fence != h.at.Fence {
			return Checkpoint{}, ErrFenced
		}
		return l.Checkpoint, nil
	}
	return Checkpoint{}, ErrNoSegment
}

// Apply hands the window on while our lease lasts for certain. That saves the work of a
// worker that has lost its lease; what keeps it from taking effect is the fence.
func (h *holding) Apply(ctx context.Context, window Window) error {
	w := h.worker
	if time.Since(w.start) > time.Duration(w.deadline.Load()) {
		return fmt.Errorf("%w: the worker could not attend in time", errLate)
	}
	return h.target.Apply(ctx, window)
}

// errLate is not for good: the worker may still attend before the lease ends.
var errLate = errors.New("the lease may have ended")

func (h *holding) report() Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *holding) progress(p Progress) {
	h.mu.Lock()
	recovered := h.last.State != Running
	h.last.Head, h.last.At = p.Head, time.Now()
	h.mu.Unlock()
	if recovered {
		h.say(Running, nil)
	}
}

// maxNote is the most bytes of a note: it is written whenever the worker attends.
const maxNote = 2000

// say tells others how the segment does, at once: who looks shall see a failure within seconds, however
// long the TTL is.
func (h *holding) say(state State, why error) {
	h.mu.Lock()
	before := h.last
	h.last.State, h.last.Note, h.last.Event, h.last.Type = state, "", eventstore.Anchor{}, ""
	if why != nil {
		note := why.Error()
		h.last.Note = note[:min(len(note), maxNote)]
		if at, ok := errors.AsType[EventFailure](why); ok {
			h.last.Event, h.last.Type = at.FailedAt()
		}
	}
	if state != before.State || h.last.Event != before.Event {
		h.last.At = time.Now()
	}
	report := h.last
	h.mu.Unlock()
	h.worker.wake()
	if h.worker.OnReport != nil {
		h.worker.OnReport(report)
	}
}

// wake has the worker attend now.
func (w *Worker) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}
