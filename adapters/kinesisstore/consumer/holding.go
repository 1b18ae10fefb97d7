package consumer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// holding is a shard that we hold, and the goroutine that reads it.
type holding struct {
	w     *Worker
	shard string
	since time.Time // from when on it is promised, if it was never begun

	deadline atomic.Int64          // until when the lease lasts for certain, in nanoseconds since w.start
	facts    atomic.Pointer[facts] // of the last survey

	reading context.Context // ends when the shard is to be given up
	stop    context.CancelFunc
	taking  context.Context // ends when a batch under way is to be given up too
	abandon context.CancelFunc
	done    chan struct{}
	ended   atomic.Bool // the target has stored the end of the shard
}

// drain is how long a batch under way may go on after the worker was told to stop.
const drain = 5 * time.Second

// hold reads a shard whose lease we have, until it is stopped.
func (w *Worker) hold(ctx context.Context, shard string, leased time.Time) {
	h := &holding{w: w, shard: shard, since: w.survey.ready[shard], done: make(chan struct{})}
	h.taking, h.abandon = context.WithCancel(context.WithoutCancel(ctx))
	h.reading, h.stop = context.WithCancel(h.taking)
	h.renewed(leased)
	h.facts.Store(&facts{})
	h.listed(w.survey)
	w.held[shard] = h
	go h.run()
}

// renewed notes that the lease was written after a moment. Others wait for the TTL from when they have seen
// that, so it lasts at least until then.
func (h *holding) renewed(at time.Time) {
	h.deadline.Store(int64(at.Add(h.w.TTL - h.w.TTL/leaseMargin).Sub(h.w.start)))
}

func (h *holding) isCertain() bool {
	return time.Since(h.w.start) < time.Duration(h.deadline.Load())
}

// listed notes what a survey says of the shard.
func (h *holding) listed(s survey) {
	now := facts{created: s.created, retention: s.retention, openAt: h.facts.Load().openAt}
	if shard, there := s.listed[h.shard]; there && isOpen(shard) {
		now.openAt = s.at
	}
	h.facts.Store(&now)
}

func isOpen(shard types.Shard) bool {
	return shard.SequenceNumberRange == nil || shard.SequenceNumberRange.EndingSequenceNumber == nil
}

func (h *holding) isOver() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// How long a shard that failed waits before it goes on.
const (
	firstRest = time.Second
	maxRest   = 30 * time.Second
)

// run reads the shard until its end, until it is stopped, or until it is lost.
func (h *holding) run() {
	defer func() {
		h.stop()
		h.abandon()
		close(h.done)
		select {
		case h.w.ended <- struct{}{}:
		default:
		}
	}()
	for rest := firstRest; ; rest = min(2*rest, maxRest) {
		came, err := h.read()
		if came {
			rest = firstRest
		}
		if err == nil || h.reading.Err() != nil {
			return
		}
		h.w.tell(err)
		if !pause(h.reading, jitter(rest)) || errors.Is(err, ErrLost) {
			return
		}
	}
}

// read reads from the stored checkpoint on, until the end of the shard. It reports whether it has
// come on.
func (h *holding) read() (came bool, err error) {
	stored, err := h.w.Target.Checkpoint(h.reading, h.shard)
	if err != nil {
		return false, fmt.Errorf("read the checkpoint of shard %s: %w", h.shard, err)
	}
	r := &reader{w: h.w, shard: h.shard, at: stored, facts: func() facts { return *h.facts.Load() }}
	if !stored.isBegun() {
		r.at.Seen = h.since
	}
	defer r.unsubscribe()
	for !stored.Ended {
		next := time.Now().Add(h.w.Poll)
		p, err := h.page(r)
		if err != nil {
			return came, err
		}
		if err := h.take(r, &stored, p); err != nil {
			return came, err
		}
		came = came || len(p.records) > 0
		if !stored.Ended && !p.pushed && !pause(h.reading, time.Until(next)) {
			return came, nil
		}
	}
	h.ended.Store(true)
	return came, nil
}

// page reads one page, and waits while Kinesis has too much to do.
func (h *holding) page(r *reader) (page, error) {
	for wait := 2 * h.w.Poll; ; wait = min(2*wait, maxThrottled) {
		p, err := r.next(h.reading)
		if !isThrottled(err) {
			return p, err
		}
		if !pause(h.reading, jitter(wait)) {
			return p, err
		}
	}
}

const maxThrottled = 5 * time.Second

func isThrottled(err error) bool {
	var exceeded *types.ProvisionedThroughputExceededException
	var limited *types.LimitExceededException
	var kms *types.KMSThrottlingException
	return errors.As(err, &exceeded) || errors.As(err, &limited) || errors.As(err, &kms) || isTaken(err)
}

// seenEvery is how much newer Seen must be to be stored without a record, so that a shard in which
// nothing happens is written now and then, not five times a second.
const seenEvery = 10 * time.Minute

// take hands a page to the target, unless there is nothing to store, and notes where the target is.
func (h *holding) take(r *reader, stored *Checkpoint, p page) error {
	if !p.to.IsAt(*stored) || p.to.Seen.Sub(stored.Seen) > seenEvery {
		records, err := h.w.unpack(h.shard, p.records)
		if err != nil {
			return err
		}
		// This saves the work of a worker that has lost its lease. What keeps it from taking
		// effect is that the target compares checkpoints.
		if !h.isCertain() {
			return fmt.Errorf("take in records of shard %s: %w: the lease could not be renewed in time", h.shard, ErrLost)
		}
		batch := Batch{Shard: h.shard, From: *stored, To: p.to, Records: records, Behind: p.behind}
		if err := h.w.Target.Take(h.taking, batch); err != nil {
			return fmt.Errorf("take in records of shard %s from sequence number %q to %q: %w", h.shard, stored.Sequence, p.to.Sequence, err)
		}
		*stored = p.to
	}
	r.at = p.to
	if h.w.OnProgress != nil {
		h.w.OnProgress(Progress{Shard: h.shard, At: *stored, Records: len(p.records), Behind: p.behind})
	}
	return nil
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// jitter shortens a pause by up to a fifth, so that not all that wait come back at one moment.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
