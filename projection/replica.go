package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// replica is a server of [Replicas], and what is known of it. The primary is one too.
type replica struct {
	Replica

	o                             ReplicasOptions
	looks, failures, answers, now atomic.Int64

	suspect chan struct{} // tells the prober of a look that failed

	mu     sync.Mutex
	health health
	aside  map[Generation]absence // read models that cannot be read there, whatever the probes say
	known  map[place]sighting     // how far it had come when it was looked at last
}

// health is how a replica does.
type health struct {
	err   error
	since time.Time
	lag   time.Duration
}

// absence is for how long a read model is left alone on a replica.
type absence struct {
	until   time.Time
	strikes int // failures since it was last read
}

// sighting is how far a read model had come, and when that was seen.
type sighting struct {
	eventstore.Token

	at time.Time
}

// place is a checkpoint, as a question knows it.
type place struct {
	of    Generation
	store eventstore.StoreID
}

var errNotAsked = errors.New("it was not asked yet")

func newReplica(of Replica, o ReplicasOptions) *replica {
	r := &replica{Replica: of, o: o, suspect: make(chan struct{}, 1), aside: map[Generation]absence{}, known: map[place]sighting{}}
	if of.Probe != nil {
		r.health.err = errNotAsked
	}
	return r
}

func (r *replica) state() health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health
}

// readable reports whether nothing speaks against looking at a generation there.
func (r *replica) readable(of Generation) (lag time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.lag, r.health.err == nil && !time.Now().Before(r.aside[of].until)
}

func (r *replica) status() ReplicaStatus {
	state := r.state()
	return ReplicaStatus{
		Name: r.Name, Err: state.err, Since: state.since, Lag: state.lag,
		Looks: r.looks.Load(), Failed: r.failures.Load(), Answered: r.answers.Load(), Now: r.now.Load(),
	}
}

// look looks at the replica, for no longer than half of the time that is left: somebody else may
// have to answer.
func (r *replica) look(ctx context.Context, of Generation, by func(ctx context.Context, at Readable) (Look, error)) (Look, error) {
	short, cancel := r.shorten(ctx)
	defer cancel()
	r.looks.Add(1)
	r.now.Add(1)
	defer r.now.Add(-1)
	look, err := by(short, r.Sink)
	switch {
	case err == nil:
		r.answered(of, look)
	case ctx.Err() == nil:
		if cause := context.Cause(short); cause != nil {
			err = cause
		}
		r.failures.Add(1)
		if !errors.Is(err, ErrInterrupted) && !errors.Is(err, errHurried) {
			r.fails(of, err)
		}
	}
	return look, err
}

// errHurried: a replica had less than its timeout, because the caller has hardly any left. That says
// nothing of the replica; its probes have all the time that they need.
var errHurried = errors.New("the caller had no time to wait for it")

func (r *replica) shorten(ctx context.Context) (context.Context, context.CancelFunc) {
	patience, limited := r.o.Timeout, r.Probe != nil // the primary may take its time
	over := fmt.Errorf("it has not answered within %v", patience)
	if deadline, ok := ctx.Deadline(); ok {
		if half := time.Until(deadline) / 2; !limited || half < patience {
			patience, limited, over = half, true, fmt.Errorf("it has not answered within %v", half)
			if r.Probe != nil {
				over = fmt.Errorf("%w: %w", over, errHurried)
			}
		}
	}
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, patience, over)
}

// answered remembers how far the replica has come.
func (r *replica) answered(of Generation, look Look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.aside, of)
	now := time.Now()
	for _, f := range look.Followed {
		at := f.Applied.Token()
		r.known[place{of, at.Store}] = sighting{at, now}
	}
}

// mostStrikes bounds for how long a read model is left alone, to 32 times the time between two probes.
const mostStrikes = 5

// fails leaves a read model alone there for a while, longer each time. Of many looks that fail at a
// time one counts. Whether the whole server is to be left alone is for a probe to say, at once; until
// then it is.
func (r *replica) fails(of Generation, err error) {
	r.mu.Lock()
	last, now := r.aside[of], time.Now()
	if now.Before(last.until) {
		r.mu.Unlock()
		return
	}
	r.aside[of] = absence{now.Add(r.o.Every << last.strikes), min(last.strikes+1, mostStrikes)}
	r.mu.Unlock()
	if r.Probe == nil {
		return
	}
	r.put(health{err: err, lag: -1})
	select {
	case r.suspect <- struct{}{}:
	default:
	}
}

// put changes the health, and says so if that is news.
func (r *replica) put(now health) {
	r.mu.Lock()
	was := r.health
	now.since = was.since
	if news := (was.err == nil) != (now.err == nil); news || was.since.IsZero() {
		now.since = time.Now()
	}
	r.health = now
	r.mu.Unlock()
	first := errors.Is(was.err, errNotAsked)
	switch {
	case now.err != nil && (was.err == nil || first):
		r.o.Logger.Warn("a replica is put aside", "replica", r.Name, "err", now.err)
	case now.err == nil && was.err != nil && !first:
		r.o.Logger.Info("a replica is back", "replica", r.Name, "lag", now.lag, "away", time.Since(was.since))
	}
}

// probe asks the replica how it does.
func (r *replica) probe(ctx context.Context) {
	short, cancel := context.WithTimeoutCause(ctx, r.o.Timeout, fmt.Errorf("it has not answered within %v", r.o.Timeout))
	defer cancel()
	lag, err := r.Probe(short)
	if err != nil && ctx.Err() != nil {
		return // nobody wants to know any more
	}
	if cause := context.Cause(short); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		lag = -1
	}
	r.put(health{err: err, lag: lag})
}

func (r *replica) keepProbing(ctx context.Context) {
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.suspect:
		}
		r.probe(ctx)
	}
}

// lacks reports whether the replica is known to lack something of what is required. What was seen
// of it longer ago than a probe is no knowledge: it has gone on since.
func (r *replica) lacks(of Generation, required []eventstore.Token) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, token := range required {
		seen, known := r.known[place{of, token.Store}]
		behind := seen.Incarnation != token.Incarnation || seen.Position < token.Position
		if known && behind && time.Since(seen.at) < r.o.Every {
			return true
		}
	}
	return false
}

// candidate is a replica that may answer, and what speaks for it.
type candidate struct {
	*replica

	late int           // 1 if it is known to lack something
	lag  time.Duration // behind the least one's
	now  int64
	turn uint64
}

// unknownLag is behind all that are known.
const unknownLag = time.Duration(1<<63 - 1)

// choose returns the replicas to ask for an answer, the best one first, and those that are too
// old for a question that says nothing about that.
func (r *Replicas) choose(of Generation, required []eventstore.Token) (fit, others []*replica) {
	turn := r.turn.Add(1)
	var all []candidate
	least := unknownLag
	for n, one := range r.replicas {
		lag, ok := one.readable(of)
		if !ok {
			continue
		}
		c := candidate{replica: one, lag: lag, now: one.now.Load(), turn: (uint64(n) + turn) % uint64(len(r.replicas))}
		if c.lag < 0 {
			c.lag = unknownLag
		}
		if one.lacks(of, required) {
			c.late = 1
		}
		least = min(least, c.lag)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.late, b.late), cmp.Compare(r.beyond(a.lag, least), r.beyond(b.lag, least)), cmp.Compare(a.now, b.now), cmp.Compare(a.turn, b.turn))
	})
	for _, c := range all {
		if len(required) == 0 && c.lag > r.o.MaxLag {
			others = append(others, c.replica)
		} else {
			fit = append(fit, c.replica)
		}
	}
	return fit, others
}

// beyond returns by how much a lag is more than the least. What was measured when they were
// probed last is as old as that: a smaller difference says nothing.
func (r *Replicas) beyond(lag, least time.Duration) time.Duration {
	return max(lag-least-r.o.Every, 0)
}
