package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// Replica is a server that follows the one where a sink writes, and can be read.
type Replica struct {
	// Name is for people and metrics, such as the server's address.
	Name string
	// Sink reads from this server alone.
	Sink Readable
	// Probe asks the server how it does. What it shows is lag old at most; negative: nobody
	// knows. The error says why it must not be read: it does not answer, or is no copy of the
	// primary (any more).
	Probe func(ctx context.Context) (lag time.Duration, err error)
}

// ErrInterrupted: a server has broken off a read for a reason of its own, and is in order: ask
// again, or another one. It does not put a replica aside.
var ErrInterrupted = errors.New("the server has broken off the read")

// ReplicasOptions are the choices of [NewReplicas]. The zero value works.
type ReplicasOptions struct {
	// Every is the time between two probes of a replica. Default: 1 s.
	Every time.Duration
	// Timeout is how long a replica may take to answer, a probe or a look, until somebody else
	// is asked. Default: 1 s.
	Timeout time.Duration
	// MaxLag is how old a replica may be for a question that does not say how fresh its answer
	// must be. Default: 10 s. It is what is preferred and not a promise; that is
	// [query.MaxStale].
	MaxLag time.Duration
	// Logger is told when a replica is put aside and when it comes back. Default: slog.Default().
	Logger *slog.Logger
}

// Replicas reads a sink's read models from whichever of its servers is fit, look by look. Give it
// to [NewReader] in the place of the sink.
//
// A question is answered by a replica that is in order and has come as far as is required; of
// several by those whose lag is least, in turn. If none has, the sink itself is asked, which is the
// furthest: so an answer after a token comes as soon as it would without replicas. What a
// replica is believed to have applied decides where to look, and never what counts: each look
// tells that anew, with its rows.
//
// A replica that fails is put aside until a probe finds it in order again, which is tried at once; a
// read model that fails there is left alone, longer each time. The question goes on to the next
// one: while the sink or any replica answers, so do readers. It is safe for concurrent use.
type Replicas struct {
	primary  *replica
	replicas []*replica
	o        ReplicasOptions

	mu      sync.Mutex
	foreign map[place]time.Time // when the primary was seen not to follow a store

	turn   atomic.Uint64
	cancel context.CancelFunc
	probes sync.WaitGroup
}

var _ Readable = (*Replicas)(nil)

// NewReplicas returns the replicas of a sink, each probed once, and goes on probing them until
// Close. One that is not in order is no error: it may come back.
func NewReplicas(ctx context.Context, primary Readable, replicas []Replica, o ReplicasOptions) *Replicas {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.MaxLag <= 0 {
		o.MaxLag = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Replicas{primary: newReplica(Replica{Name: "primary", Sink: primary}, o), o: o, foreign: map[place]time.Time{}}
	probing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	var first sync.WaitGroup
	for _, each := range replicas {
		one := newReplica(each, o)
		r.replicas = append(r.replicas, one)
		first.Go(func() { one.probe(ctx) })
		r.probes.Go(func() {
			first.Wait()
			one.keepProbing(probing)
		})
	}
	first.Wait()
	return r
}

// Close ends the probes, and returns when the last one has ended. Readers may go on; they are then
// left with what was known last.
func (r *Replicas) Close() {
	r.cancel()
	r.probes.Wait()
}

// Changed implements [Readable]. It tells of what the sink is told of; a replica may have that later.
func (r *Replicas) Changed() <-chan struct{} { return r.primary.Sink.Changed() }

// Look implements [Readable].
func (r *Replicas) Look(ctx context.Context, model Model, rows RowQuery) (Look, error) {
	return r.LookBy(ctx, model.Generation, query.Required(ctx), rows.among, func(ctx context.Context, at Readable) (Look, error) {
		return at.Look(ctx, model, rows)
	})
}

// LookBy looks at a generation as Look does, by a function that is called with the sink of one server
// after the other, until a look has what is required, or that of the primary is the answer. What is
// parked among the rows may have been mended on the primary. It is for adapters, whose servers can be
// read in more ways than one.
func (r *Replicas) LookBy(ctx context.Context, of Generation, required []eventstore.Token, among func(parked string) bool, by func(ctx context.Context, at Readable) (Look, error)) (Look, error) {
	fit, others := r.choose(of, required)
	if _, ok := r.primary.readable(of); ok {
		others = append([]*replica{r.primary}, others...)
	} else {
		others = append(others, r.primary) // it has failed just now, and is the last resort
	}
	var found *Look // by one that has not come far enough
	var failed error
	for queue := slices.Concat(fit, others); len(queue) > 0; {
		one := queue[0]
		queue = queue[1:]
		look, err := one.look(ctx, of, by)
		switch {
		case err != nil && ctx.Err() != nil:
			return look, err
		case err != nil:
			failed = fmt.Errorf("%s: %w", one.Name, err)
		case one == r.primary:
			if look.Has(required) {
				one.answers.Add(1)
			}
			r.learn(of, look, required)
			return look, nil
		case look.Has(required) && len(look.lacks(required, among)) == 0 && r.knowsForeign(of, look, required):
			one.answers.Add(1)
			return look, nil
		case found == nil:
			found = &look
			r.hurry(of, queue)
		}
	}
	if found != nil {
		return *found, nil
	}
	return Look{}, failed
}

// A store that a replica's copy does not follow may be one that the generation follows since: what is
// required of it would then be left to other readers. So the primary is asked, from time to time.

// learn remembers which of the required stores the generation does not follow.
func (r *Replicas) learn(of Generation, primary Look, required []eventstore.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, token := range required {
		if !primary.follows(token.Store) {
			r.foreign[place{of, token.Store}] = time.Now()
		}
	}
}

// knowsForeign reports whether the primary, too, has not followed the stores, a while ago, that a look
// does not follow.
func (r *Replicas) knowsForeign(of Generation, look Look, required []eventstore.Token) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, token := range required {
		if !look.follows(token.Store) && time.Since(r.foreign[place{of, token.Store}]) > r.o.Every {
			return false
		}
	}
	return true
}

// hurry puts the primary, which is further than all others, in front of a queue, unless it has failed
// just now.
func (r *Replicas) hurry(of Generation, queue []*replica) {
	if _, ok := r.primary.readable(of); !ok {
		return
	}
	if n := slices.Index(queue, r.primary); n > 0 {
		copy(queue[1:n+1], queue[:n])
		queue[0] = r.primary
	}
}

// ReplicaStatus is how a replica does.
type ReplicaStatus struct {
	Name string
	// Err is why the replica is put aside; nil: it is in order.
	Err error
	// Since is when it was put aside, or came back.
	Since time.Time
	// Lag is how old what it shows was at most when it was probed last; negative: nobody knows.
	Lag time.Duration
	// Looks is how many questions it was asked, Failed how many of them it did not answer.
	Looks, Failed int64
	// Answered is how many of them it answered with all that was required.
	Answered int64
	// Now is how many it is being asked at the moment.
	Now int64
}

// ReplicasStatus is how all of them do.
type ReplicasStatus struct {
	// Primary is how the sink itself does, which nobody probes and nothing is older than.
	Primary  ReplicaStatus
	Replicas []ReplicaStatus
}

// Status returns how the replicas do.
func (r *Replicas) Status() ReplicasStatus {
	s := ReplicasStatus{Primary: r.primary.status()}
	for _, one := range r.replicas {
		s.Replicas = append(s.Replicas, one.status())
	}
	return s
}
