package consumer_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// unheard is Kinesis on a connection that is dead: the first call of an operation has no answer, ever.
type unheard struct {
	consumer.API

	operation string
	hung      atomic.Bool
}

func (s *unheard) hang(ctx context.Context, operation string) error {
	if operation != s.operation || s.hung.Swap(true) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *unheard) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, o ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	if err := s.hang(ctx, "DescribeStreamSummary"); err != nil {
		return nil, err
	}
	return s.API.DescribeStreamSummary(ctx, in, o...)
}

func (s *unheard) ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	if err := s.hang(ctx, "ListShards"); err != nil {
		return nil, err
	}
	return s.API.ListShards(ctx, in, o...)
}

func (s *unheard) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	if err := s.hang(ctx, "GetShardIterator"); err != nil {
		return nil, err
	}
	return s.API.GetShardIterator(ctx, in, o...)
}

func (s *unheard) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	if err := s.hang(ctx, "GetRecords"); err != nil {
		return nil, err
	}
	return s.API.GetRecords(ctx, in, o...)
}

// A worker goes on renewing its leases, so no other one would ever come to the aid of a shard whose read hangs.
func TestACallThatIsNeverAnsweredIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake, book := newFake(t, 1, nil), newLedger()
				put(t, fake, stream, "key", 1)
				all := newCrowd(&unheard{API: fake, operation: operation}, book)
				defer all.stop()
				all.join(t, "one")
				until(t, 3*time.Minute, "the record is taken in", func() bool { return book.total() == 1 })
			})
		})
	}
}

// unanswered is a lease store whose first answer to a write is lost.
type unanswered struct {
	consumer.LeaseStore

	lost atomic.Bool
}

func (u *unanswered) Write(ctx context.Context, lease consumer.Lease) error {
	if err := u.LeaseStore.Write(ctx, lease); err != nil || u.lost.Swap(true) {
		return err
	}
	return assert.AnError
}

func TestALeaseWhoseAnswerWasLostIsOursAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, book := newFake(t, 1, nil), newLedger()
		put(t, fake, stream, "key", 1)
		all := newCrowd(fake, book)
		defer all.stop()
		all.leases, all.ttl = &unanswered{LeaseStore: consumer.NewMemory()}, time.Hour
		all.join(t, "one")
		until(t, 59*time.Minute, "the record is taken in", func() bool { return book.total() == 1 })
	})
}

func TestASubscriptionThatIsNeverAnsweredIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, book := newFake(t, 1, nil), newLedger()
		all := newCrowd(fake, book)
		all.fanOut = fanOut(t, fake)
		subscribe, hung := all.fanOut.Subscribe, new(atomic.Bool)
		all.fanOut.Subscribe = func(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
			if !hung.Swap(true) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return subscribe(ctx, in)
		}
		defer all.stop()
		all.join(t, "one")
		time.Sleep(10 * time.Second) // it has read what there was, and subscribes
		put(t, fake, stream, "key", 1)
		until(t, 3*time.Minute, "the record is taken in", func() bool { return book.total() == 1 })
	})
}
