package consumer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Worker reads the shards of a stream together with every other worker on the same leases, in this
// process and in others. Each has about the same number of shards; what one that dies held is
// taken over by the others when its leases have ended.
//
// Fill it in and call Run, once.
type Worker struct {
	// ID names this run of the worker; no other one may have it. Default: a random one.
	ID string
	// API and Stream are what to read. Required.
	API    API
	Stream string
	// Target takes the records in. Required.
	Target Target
	// Leases are those of the consumer. Required.
	Leases LeaseStore

	// TTL is how long a lease lasts that is not renewed; the same for all workers. Default: 10 s.
	TTL time.Duration
	// FanOut has the shards pushed instead of polled. Default: they are polled.
	FanOut *FanOut
	// Poll is the pause between two reads of a shard, at least 200 ms; with three consumers on the
	// stream it should be 600 ms in each. Default: 200 ms.
	Poll time.Duration
	// Limit is the most records of a batch, 1 to 10000. Default: 1000.
	Limit int32
	// Deaggregate unpacks the records of a batch that the KPL has packed; the others it returns as
	// they are. What it returns goes to the target. Default: packed records are [ErrAggregated].
	Deaggregate func([]types.Record) ([]types.Record, error)
	// OnError is told what keeps a shard or the worker from going on; it tries again, and the other
	// shards go on. Calls come from several goroutines. Default: nobody is told.
	OnError func(error)
	// OnProgress is told of each read of a shard, after its records were taken in, from the
	// goroutine of the shard. Default: nobody is told.
	OnProgress func(Progress)

	api       timed
	start     time.Time
	held      map[string]*holding
	seen      map[string]seen       // leases, by shard
	survey    survey                // the last one
	nextLook  time.Time             // when the next one is due
	looking   chan found            // what brings it; nil: nobody is looking
	ended     chan struct{}         // some holding is over
	endStored map[string]Checkpoint // of shards whose end the target has stored
}

// Progress tells how far a shard is.
type Progress struct {
	Shard   string
	At      Checkpoint
	Records int           // taken in with this read
	Behind  time.Duration // behind the tip of the shard, as Kinesis says
}

// seen is a lease as we have seen it, and since when it has stood still, by our clock.
type seen struct {
	Lease

	since time.Time
}

const (
	renewEvery  = 3 // the share of the TTL after which leases are renewed
	leaseMargin = 5 // the share of it that we do not trust
	lookEvery   = time.Minute
)

// Run works until ctx ends, then lets the batches under way end, for 5 s at most, gives its shards back and
// returns nil. It fails at once if a required field is not set, and at no other time: what fails is tried again.
func (w *Worker) Run(ctx context.Context) error {
	if w.API == nil || w.Stream == "" || w.Target == nil || w.Leases == nil {
		return errors.New("consumer.Worker: set API, Stream, Target and Leases")
	}
	w.setDefaults()
	defer w.leave(context.WithoutCancel(ctx))
	for {
		wait := w.TTL / renewEvery
		if err := w.turn(ctx); err != nil && ctx.Err() == nil {
			w.tell(err)
			wait /= 4 // the leases go on for a while; what is away may be back soon
		}
		select {
		case <-ctx.Done():
			return nil
		case f := <-w.looking:
			if err := w.adopt(ctx, f); err != nil && ctx.Err() == nil {
				w.tell(err)
			}
		case <-w.ended:
		case <-time.After(jitter(wait)):
		}
	}
}

func (w *Worker) setDefaults() {
	if w.ID == "" {
		w.ID = rand.Text()
	}
	if w.TTL <= 0 {
		w.TTL = 10 * time.Second
	}
	if w.Limit <= 0 {
		w.Limit = 1000
	}
	w.Poll, w.Limit = max(w.Poll, 200*time.Millisecond), min(w.Limit, 10_000)
	w.api = timed{w.API}
	w.start, w.ended = time.Now(), make(chan struct{}, 1)
	w.held, w.seen, w.endStored = map[string]*holding{}, map[string]seen{}, map[string]Checkpoint{}
}

func (w *Worker) tell(err error) {
	if w.OnError != nil {
		w.OnError(fmt.Errorf("worker %s: %w", w.ID, err))
	}
}

// turn renews our leases, looks which shards there are when that is due, and changes at most a little of
// who holds what. What has no answer after the TTL is given up: our leases have ended by then.
func (w *Worker) turn(ctx context.Context) error {
	timed, cancel := context.WithTimeout(ctx, w.TTL)
	defer cancel()
	leases, err := w.Leases.List(timed)
	if err != nil {
		return fmt.Errorf("list the leases: %w", err)
	}
	w.observe(leases)
	if err := w.renew(timed); err != nil {
		return err
	}
	if w.looking == nil && w.isLookDue() {
		w.lookAgain(ctx)
	}
	if err := w.take(ctx, timed); err != nil {
		return err
	}
	return w.steal(timed)
}

// observe notes which leases have moved. Only our own clock is used, so clocks may differ.
func (w *Worker) observe(leases []Lease) {
	before := w.seen
	w.seen = make(map[string]seen, len(leases))
	for _, l := range leases {
		if old, known := before[l.Shard]; known && old.Lease == l {
			w.seen[l.Shard] = old
		} else {
			w.seen[l.Shard] = seen{l, time.Now()}
		}
	}
}

// write writes the successor of a lease and notes it.
func (w *Worker) write(ctx context.Context, l Lease) error {
	l.Counter++
	if err := w.Leases.Write(ctx, l); err != nil {
		return fmt.Errorf("write the lease of shard %s: %w", l.Shard, err)
	}
	w.seen[l.Shard] = seen{l, time.Now()}
	return nil
}

// renew renews the leases of what we hold, gives back what is over or wanted by another worker, and stops
// what is lost.
func (w *Worker) renew(ctx context.Context) (failed error) {
	for shard, h := range w.held {
		current := w.seen[shard].Lease
		switch {
		case current.Owner != w.ID: // lost: it is to stop at once
			h.abandon()
			if h.isOver() {
				delete(w.held, shard)
			}
			continue
		case h.isOver():
			current.Owner = ""
			if h.ended.Load() {
				delete(w.survey.ready, shard) // else it would count in our share until the next look
			}
			w.nextLook = time.Time{} // at the end of a shard its children may begin
		case current.Wanted != "":
			h.stop() // it ends its batch; then the lease is released
		}
		at := time.Now()
		switch err := w.write(ctx, current); {
		case errors.Is(err, ErrLost): // we see why in the next turn
		case err != nil:
			failed = err
		case current.Owner == "":
			delete(w.held, shard)
		default:
			h.renewed(at)
		}
	}
	return failed
}

// isLookDue reports whether it is time to look which shards there are: now and then, and at once if
// another worker has a shard of which we do not know, or one of ours has come to its end.
func (w *Worker) isLookDue() bool {
	for shard := range w.seen {
		if _, known := w.survey.listed[shard]; !known {
			return true
		}
	}
	return !time.Now().Before(w.nextLook)
}

// found is what a look has brought.
type found struct {
	survey survey
	err    error
}

// lookAgain looks which shards there are while the leases are renewed: with many shards it takes long.
func (w *Worker) lookAgain(ctx context.Context) {
	w.nextLook = time.Now().Add(jitter(lookEvery)) // what ends meanwhile makes it sooner
	looking := make(chan found, 1)
	w.looking = looking
	go func() {
		s, err := w.look(ctx)
		looking <- found{s, err}
	}()
}

// adopt takes over what a look has brought. Leases of shards that are gone are removed.
func (w *Worker) adopt(ctx context.Context, f found) error {
	w.looking = nil
	if soon := time.Now().Add(jitter(w.TTL / renewEvery)); f.err != nil || f.survey.waiting && soon.Before(w.nextLook) {
		w.nextLook = soon // whoever stores the end of a parent looks at once, unless it dies
	}
	if f.err != nil {
		return f.err
	}
	w.survey = f.survey
	if len(w.survey.listed) == 0 {
		return nil // the stream is being made
	}
	for shard, h := range w.held {
		if _, there := w.survey.listed[shard]; there {
			h.listed(w.survey)
		} else {
			h.stop() // it can never be read again
		}
	}
	for shard, l := range w.seen {
		if _, there := w.survey.listed[shard]; there || w.held[shard] != nil || l.since.After(w.survey.at) {
			continue
		}
		if err := w.Leases.Remove(ctx, l.Lease); err != nil && !errors.Is(err, ErrLost) {
			return fmt.Errorf("remove the lease of shard %s: %w", shard, err)
		}
		delete(w.seen, shard)
	}
	return nil
}

// isFree reports whether we may take a lease that we do not hold: nobody holds it, or not any more, and it was not
// released for another worker a moment ago. One that is ours by name is what we have written without an answer.
func (w *Worker) isFree(l seen) bool {
	return l.Owner == w.ID || time.Since(l.since) > w.TTL || l.Owner == "" && (l.Wanted == "" || l.Wanted == w.ID)
}

// load returns how many shards each worker has that is there. One that has none shows by what it wants.
func (w *Worker) load() map[string]int {
	load := map[string]int{w.ID: 0}
	for shard := range w.survey.ready {
		l := w.seen[shard]
		if time.Since(l.since) > w.TTL {
			continue
		}
		if l.Owner != "" {
			load[l.Owner]++
		}
		if l.Wanted != "" {
			load[l.Wanted] += 0
		}
	}
	return load
}

// take takes free leases up to our share.
func (w *Worker) take(ctx, timed context.Context) error {
	load := w.load()
	share := (len(w.survey.ready) + len(load) - 1) / len(load)
	for _, shard := range slices.Sorted(maps.Keys(w.survey.ready)) {
		l := w.seen[shard]
		if len(w.held) >= share {
			return nil
		}
		if w.held[shard] != nil || !w.isFree(l) {
			continue
		}
		at := time.Now()
		switch err := w.write(timed, Lease{Shard: shard, Owner: w.ID, Counter: l.Counter}); {
		case errors.Is(err, ErrLost): // somebody was faster
		case err != nil:
			return err
		default:
			w.hold(ctx, shard, at)
		}
	}
	return nil
}

// steal asks the worker with the most shards for one, if that has two more than we: one at a time.
func (w *Worker) steal(ctx context.Context) error {
	load := w.load()
	var most string
	for worker, has := range load {
		if has > load[most] || has == load[most] && worker < most {
			most = worker
		}
	}
	if load[most] < load[w.ID]+2 {
		return nil
	}
	var theirs *Lease
	for _, shard := range slices.Sorted(maps.Keys(w.survey.ready)) {
		l := w.seen[shard]
		switch {
		case l.Wanted == w.ID && !w.isFree(l):
			return nil // we are waiting for one
		case l.Owner == most && l.Wanted == "":
			theirs = &l.Lease
		}
	}
	if theirs == nil {
		return nil
	}
	theirs.Wanted = w.ID
	if err := w.write(ctx, *theirs); !errors.Is(err, ErrLost) {
		return err
	}
	return nil // it has just been renewed: the next turn tries again
}

// leave stops everything and gives it back, so that others need not wait for the leases to end.
func (w *Worker) leave(ctx context.Context) {
	for _, h := range w.held {
		h.stop()
	}
	if w.looking != nil {
		<-w.looking // it has ended with the context of Run
	}
	late := time.AfterFunc(min(drain, w.TTL/2), func() {
		for _, h := range w.held {
			h.abandon()
		}
	})
	defer late.Stop()
	for _, h := range w.held {
		<-h.done
	}
	ctx, cancel := context.WithTimeout(ctx, w.TTL/renewEvery)
	defer cancel()
	for shard := range w.held {
		if l := w.seen[shard].Lease; l.Owner == w.ID {
			l.Owner = ""
			_ = w.write(ctx, l) // else it ends by itself
		}
	}
}
