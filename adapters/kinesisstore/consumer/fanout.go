package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// FanOut is enhanced fan-out: Kinesis pushes the records of a shard as they arrive, and a shard gives
// each registered consumer 2 MiB a second of its own. It costs more than polling; AWS names 70 ms
// instead of about 200 as the usual delay.
//
// Polling still decides: before each subscription, which lasts five minutes, the shard is read
// once as it is without fan-out, and only such a read finds that a shard has ended. So [API] is needed too.
type FanOut struct {
	// ConsumerARN is of the consumer that was registered by RegisterStreamConsumer, the same for
	// all workers. A shard has one subscription of a consumer at a time. Required.
	ConsumerARN string

	// Subscribe subscribes to a shard: see [Subscribe]. Required.
	Subscribe func(context.Context, *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error)
}

// Subscriber is what [Subscribe] calls of Kinesis; [kinesis.Client] has it.
type Subscriber interface {
	SubscribeToShard(context.Context, *kinesis.SubscribeToShardInput, ...func(*kinesis.Options)) (*kinesis.SubscribeToShardOutput, error)
}

// Subscribe returns what [FanOut] subscribes with, for a client of the SDK. The client's HTTP
// client must not have a timeout for whole answers: a subscription is one answer.
func Subscribe(client Subscriber) func(context.Context, *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
	return func(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
		out, err := client.SubscribeToShard(ctx, in, ownProtocol)
		if err != nil {
			return nil, err
		}
		return out.GetStream(), nil
	}
}

// ownProtocol gives a subscription a decoder of its own. In smithy-go v1.28.8 all subscriptions of
// a client share one that is not made for it: the race detector finds them in its buffer.
func ownProtocol(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) }

// silence is how long a subscription may say nothing: Kinesis sends an event now and then also when there
// is no record. Longer, and the connection is taken for dead.
const silence = 30 * time.Second

// next reads the next page of a shard, pushed or polled.
func (r *reader) next(ctx context.Context) (page, error) {
	if r.w.FanOut == nil {
		return r.read(ctx)
	}
	if r.pushed == nil {
		if !r.polled {
			p, err := r.read(ctx)
			r.polled = err == nil && r.iterator != "" // an iterator that has expired has read nothing
			return p, err
		}
		if err := r.subscribe(ctx); err != nil {
			return page{}, err
		}
	}
	return r.push(ctx)
}

// subscribe begins behind the record of the checkpoint, or as open does if that is trimmed.
func (r *reader) subscribe(ctx context.Context) error {
	oldest := &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	from := oldest
	if r.at.Sequence != "" {
		from = &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &r.at.Sequence}
	}
	pushed, err := r.subscribeFrom(ctx, from)
	if isInvalid(err) {
		pushed, err = r.subscribeFrom(ctx, oldest)
		if err == nil {
			if err = r.isSame(ctx); err != nil {
				_ = pushed.Close()
				r.cancel()
			}
		}
	}
	if err != nil {
		return fmt.Errorf("subscribe to shard %s behind sequence number %q: %w", r.shard, r.at.Sequence, err)
	}
	r.pushed = pushed
	return nil
}

func (r *reader) subscribeFrom(ctx context.Context, from *types.StartingPosition) (*kinesis.SubscribeToShardEventStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(answered, cancel) // not a deadline: the subscription lives as long as the context
	pushed, err := r.w.FanOut.Subscribe(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &r.w.FanOut.ConsumerARN, ShardId: &r.shard, StartingPosition: from})
	if !late.Stop() && err == nil {
		_ = pushed.Close()
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		return nil, err
	}
	r.cancel = cancel
	return pushed, nil
}

// unsubscribe lets the next page be polled again, behind the checkpoint as it is then.
func (r *reader) unsubscribe() {
	if r.pushed != nil {
		_ = r.pushed.Close() // it says once more why it broke
		r.cancel()
	}
	r.pushed, r.polled, r.iterator = nil, false, ""
}

// push waits for the next event of the subscription. When that is over, as after five minutes and at
// the end of a shard, the page has nothing in it and the next one is polled.
func (r *reader) push(ctx context.Context) (page, error) {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	select {
	case <-ctx.Done():
		return page{}, ctx.Err()
	case <-quiet.C:
		r.unsubscribe()
		return page{to: r.at}, nil
	case event := <-r.pushed.Events():
		return r.take(ctx, event)
	}
}

// take makes a page of an event; nil is the end of the subscription.
func (r *reader) take(ctx context.Context, event types.SubscribeToShardEventStream) (page, error) {
	member, isEvent := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
	switch {
	case event == nil:
		err := r.pushed.Err()
		r.unsubscribe()
		if err != nil {
			return page{}, fmt.Errorf("read what is pushed of shard %s: %w", r.shard, err)
		}
		return page{to: r.at}, nil
	case !isEvent:
		return page{to: r.at, pushed: true}, nil
	}
	p := r.pageOf(member.Value.Records, member.Value.MillisBehindLatest)
	p.pushed = true
	if err := r.proveIfNew(ctx, p); err != nil {
		r.unsubscribe()
		return page{}, err
	}
	return p, nil
}

// pageOf is what records say, of which some may be known.
func (r *reader) pageOf(records []types.Record, behind *int64) page {
	p := page{records: r.behindCheckpoint(records), behind: time.Duration(aws.ToInt64(behind)) * time.Millisecond, to: r.at}
	if n := len(p.records); n > 0 {
		p.to.Sequence = aws.ToString(p.records[n-1].SequenceNumber)
		p.to = p.to.see(aws.ToTime(p.records[n-1].ApproximateArrivalTimestamp))
	}
	return p
}

// proveIfNew proves a page that says something.
func (r *reader) proveIfNew(ctx context.Context, p page) error {
	if p.to == r.at {
		return nil
	}
	return r.prove(ctx)
}

// isTaken reports whether the shard has a subscription that is too young to be replaced, perhaps of
// the worker that had it before.
func isTaken(err error) bool {
	var taken *types.ResourceInUseException
	return errors.As(err, &taken)
}
