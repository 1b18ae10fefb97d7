package kinesisfake

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

const (
	subscriptionLives = 5 * time.Minute
	subscribeAgain    = 5 * time.Second
	heartbeat         = 5 * time.Second // an event without records, when there are none
	longestEvent      = 1000            // records
	largestEvent      = 2 * mib
)

// subscription pushes one shard's records to one reader, in real time: it ends after five minutes,
// of which a bubble of testing/synctest makes virtual ones.
type subscription struct {
	events  chan types.SubscribeToShardEventStream
	began   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	stopped chan struct{}

	mu  sync.Mutex
	err error
}

// Subscribe is SubscribeToShard, but for its result: the SDK's own can be made by the SDK only,
// so this is what its GetStream returns. Close it.
//
// A second call for the same reader and shard within five seconds is a ResourceInUseException; a later one
// ends the first subscription.
func (f *Fake) Subscribe(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
	return call(ctx, f, "SubscribeToShard", func(now time.Time, _ fault.Kind) (*kinesis.SubscribeToShardEventStream, error) {
		c, err := f.findConsumer(nil, in.ConsumerARN, nil)
		if err != nil {
			return nil, err
		}
		sh, err := c.stream.shard(in.ShardId)
		if err != nil {
			return nil, err
		}
		if in.StartingPosition == nil {
			return nil, malformed("no StartingPosition")
		}
		from, err := f.startingPlace(sh, now, in.StartingPosition.Type, in.StartingPosition.SequenceNumber, in.StartingPosition.Timestamp)
		if err != nil {
			return nil, err
		}
		if before := c.subscribed[sh.id]; before != nil {
			if now.Sub(before.began) < subscribeAgain {
				return nil, inUse("shard %s was subscribed to less than 5 s ago", sh.id)
			}
			before.cancel()
		}
		sub := &subscription{began: now, events: make(chan types.SubscribeToShardEventStream), stopped: make(chan struct{})}
		sub.ctx, sub.cancel = context.WithTimeout(ctx, subscriptionLives)
		c.subscribed[sh.id] = sub
		go sub.run(f, sh, from)
		return kinesis.NewSubscribeToShardEventStream(func(es *kinesis.SubscribeToShardEventStream) { es.Reader = sub }), nil
	})
}

func (s *subscription) run(f *Fake, sh *shard, from int64) {
	defer close(s.stopped)
	defer close(s.events)
	defer s.cancel()
	for {
		event, changed, next := f.event(sh, from)
		if event == nil { // nothing new: a sign of life in a while
			select {
			case <-changed:
				continue
			case <-time.After(heartbeat):
				event = &types.SubscribeToShardEvent{Records: []types.Record{}, MillisBehindLatest: aws.Int64(0), ContinuationSequenceNumber: sh.continuation(from)}
			case <-s.ctx.Done():
				return
			}
		}
		if kind := f.options.Faults.Next("SubscribeToShardEvent"); kind != fault.None {
			s.fail(faultOf(kind))
			return
		}
		select {
		case s.events <- &types.SubscribeToShardEventStreamMemberSubscribeToShardEvent{Value: *event}:
		case <-s.ctx.Done():
			return
		}
		if event.ContinuationSequenceNumber == nil {
			return
		}
		from = next
	}
}

// faultOf is how a subscription breaks: by a lost connection or by an error of the service.
func faultOf(kind fault.Kind) error {
	switch kind {
	case fault.Internal:
		return internalFailure()
	case fault.Throttled:
		return throttled("a planned fault")
	default:
		return lost()
	}
}

// event returns what is new from a place on, and the next place; nil, and what to wait for, if
// there is nothing.
func (f *Fake) event(sh *shard, from int64) (*types.SubscribeToShardEvent, <-chan struct{}, int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	records, _ := sh.take(from, longestEvent, largestEvent)
	event := &types.SubscribeToShardEvent{Records: []types.Record{}}
	for _, r := range records {
		event.Records = append(event.Records, r.answer())
		from = r.sequence + 1
	}
	event.MillisBehindLatest = aws.Int64(sh.behind(from, f.options.Now()))
	event.ContinuationSequenceNumber = sh.continuation(from)
	if len(records) == 0 {
		if sh.isOpen() {
			return nil, f.changed, from
		}
		event.ContinuationSequenceNumber, event.ChildShards = nil, sh.childShards()
	}
	return event, nil, from
}

// continuation is a number after which to go on.
func (s *shard) continuation(from int64) *string { return aws.String(number(max(from-1, s.first))) }

// Events is where the events come, until it is closed.
func (s *subscription) Events() <-chan types.SubscribeToShardEventStream { return s.events }

// Close ends the subscription.
func (s *subscription) Close() error {
	s.cancel()
	<-s.stopped
	return nil
}

// Err is why it ended, nil if it was to.
func (s *subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *subscription) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, err)
}
