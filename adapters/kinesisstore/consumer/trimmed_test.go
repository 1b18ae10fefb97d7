package consumer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// trimming is a test of what the consumer makes of a stream that keeps records for 24 hours.
type trimming struct {
	*testing.T

	kinesis service
	api     consumer.API
	book    *ledger
	all     *crowd
}

func inTrimming(t *testing.T, run func(t trimming)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		run(trimming{t, fake, fake, newLedger(), nil})
	})
}

// start starts a worker that is in no hurry, for the days that go by.
func (t *trimming) start() *part {
	t.all = newCrowd(t.api, t.book)
	t.all.ttl, t.all.poll = 10*time.Minute, time.Minute
	return t.all.join(t.T, "a")
}

func (t *trimming) takes(value int) {
	t.Helper()
	until(t.T, time.Hour, "the record is taken in", func() bool { return t.book.total() == value })
	require.NoError(t, t.book.disorder())
}

// isTrimmed: a worker must find out, and take in nothing.
func (t *trimming) isTrimmed() {
	t.Helper()
	before := t.book.total()
	a := t.start()
	defer t.all.stop()
	until(t.T, time.Hour, "the worker says so", func() bool { return a.errors.has(consumer.ErrTrimmed) })
	time.Sleep(time.Hour)
	assert.Equal(t, before, t.book.total())
}

func (t *trimming) put(value int) {
	t.Helper()
	put(t.T, t.kinesis, stream, "key", value)
}

func TestAGapBehindTheCheckpointStopsTheShard(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		t.put(2) // it will be gone
		time.Sleep(25 * time.Hour)
		t.put(3)
		t.isTrimmed()
	})
}

// silent begins where there is something, as Kinesis may do with a record that is trimmed.
type silent struct{ service }

func (s silent) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	out, err := s.service.GetShardIterator(ctx, in, o...)
	if err != nil {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
		out, err = s.service.GetShardIterator(ctx, in, o...)
	}
	return out, err
}

// strict refuses a record that is trimmed.
type strict struct{ service }

func (s strict) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	if in.StartingSequenceNumber == nil {
		return s.service.GetShardIterator(ctx, in, o...)
	}
	first, err := s.service.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: in.StreamName, ShardId: in.ShardId, ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: in.StartingSequenceNumber,
	}, o...)
	if err != nil {
		return nil, err
	}
	out, err := s.service.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: first.ShardIterator, Limit: aws.Int32(1)})
	if err != nil {
		return nil, err
	}
	if len(out.Records) == 0 || *out.Records[0].SequenceNumber != *in.StartingSequenceNumber {
		return nil, &types.InvalidArgumentException{Message: aws.String("no such record")}
	}
	return s.service.GetShardIterator(ctx, in, o...)
}

func TestAGapIsFoundWhateverKinesisSaysOfARecordThatIsGone(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(service) consumer.API{
		"nothing":  func(k service) consumer.API { return silent{k} },
		"an error": func(k service) consumer.API { return strict{k} },
	} {
		t.Run(name, func(t *testing.T) {
			inTrimming(t, func(t trimming) {
				t.api = wrap(t.kinesis)
				t.put(1)
				t.start()
				t.takes(1)
				t.all.stop()
				t.put(2)
				time.Sleep(25 * time.Hour)
				t.put(3)
				t.isTrimmed()
			})
		})
		t.Run(name+", and there is no gap", func(t *testing.T) {
			inTrimming(t, func(t trimming) {
				t.api = wrap(t.kinesis)
				t.put(1)
				t.start()
				t.takes(1)
				time.Sleep(30 * time.Hour) // the first one is trimmed, and nothing else was there
				t.all.stop()
				t.put(2)
				time.Sleep(20 * time.Hour)
				t.start()
				defer t.all.stop()
				t.takes(2)
			})
		})
	}
}

// mistaken says that the stream keeps records for a year.
type mistaken struct{ service }

func (m mistaken) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, o ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	out, err := m.service.DescribeStreamSummary(ctx, in, o...)
	if err == nil {
		out.StreamDescriptionSummary.RetentionPeriodHours = aws.Int32(8760)
	}
	return out, err
}

// The twin of the test above: Kinesis itself says nothing of a gap.
func TestWithAnotherRetentionAGapGoesUnseen(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.api = mistaken{t.kinesis}
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		t.put(2)
		time.Sleep(25 * time.Hour)
		t.put(3)
		t.start()
		defer t.all.stop()
		until(t.T, time.Hour, "the gap is jumped over", func() bool { return len(t.book.of("key")) == 2 })
		assert.Equal(t, []int{1, 3}, t.book.of("key"))
	})
}

func TestAShardInWhichNothingHappensIsNotTrimmed(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		t.start()
		t.takes(1)
		time.Sleep(72 * time.Hour)
		t.put(2)
		t.takes(2)
		t.all.stop()
	})
}

func TestAShardThatNeverHadARecordIsNotTrimmedWhileAWorkerIsThere(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.start()
		time.Sleep(48 * time.Hour)
		t.all.stop()
		time.Sleep(20 * time.Hour)
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		time.Sleep(time.Hour)
		t.put(2) // it will be gone
		time.Sleep(25 * time.Hour)
		t.put(3)
		t.isTrimmed()
	})
}

// Within the last hour of the retention clocks decide nothing: the record of the checkpoint does.
func TestARecordThatIsStillThereProvesThatThereIsNoGap(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		t.put(2)
		time.Sleep(23*time.Hour + 30*time.Minute)
		a := t.start()
		defer t.all.stop()
		t.takes(2)
		assert.False(t, a.errors.has(consumer.ErrTrimmed))
	})
}

// slow is a target that keeps its first batch for a day.
type slow struct {
	*ledger

	lasts time.Duration
}

func (s *slow) Take(ctx context.Context, batch consumer.Batch) error {
	if len(batch.Records) > 0 && s.total() == 0 {
		time.Sleep(s.lasts)
	}
	return s.ledger.Take(ctx, batch)
}

func TestAGapThatComesUpWhileAWorkerReadsStopsTheShard(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		t.all = newCrowd(t.api, &slow{t.book, 25 * time.Hour})
		t.all.ttl, t.all.poll, t.all.limit = 10*time.Minute, 10*time.Second, 1
		a := t.all.join(t.T, "a")
		defer t.all.stop()
		time.Sleep(time.Minute)
		t.put(2) // it will be gone, and the checkpoint's record with it
		time.Sleep(24*time.Hour + 30*time.Minute)
		t.put(3)
		until(t.T, 2*time.Hour, "the worker says so", func() bool { return a.errors.has(consumer.ErrTrimmed) })
		assert.Equal(t, []int{1}, t.book.of("key"))
	})
}

func TestAParentThatIsGoneBeforeItsEndWasStoredStopsItsChildren(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		t.put(2)
		split(t.T, t.kinesis, firstShard(t.T, t.kinesis))
		time.Sleep(25 * time.Hour)
		t.put(3)
		require.Len(t, shardsOf(t.T, t.kinesis), 2)
		t.isTrimmed()
	})
}

func TestShardsThatCameAndWentWhileNoWorkerWasThereAreMissed(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		root := firstShard(t.T, t.kinesis)
		t.start()
		t.takes(1)
		t.all.stop()
		split(t.T, t.kinesis, root)
		t.put(2) // in a child that will be gone
		for child := range shardsOf(t.T, t.kinesis) {
			if child != root {
				split(t.T, t.kinesis, child)
			}
		}
		time.Sleep(25 * time.Hour)
		t.put(3)
		require.Len(t, shardsOf(t.T, t.kinesis), 4)
		t.isTrimmed()
	})
}

func TestAChildThatWasTrimmedBeforeItBeganStopsAlthoughItsParentWasFinished(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		root := firstShard(t.T, t.kinesis)
		split(t.T, t.kinesis, root)
		t.start()
		until(t.T, time.Hour, "the end of the parent is stored", func() bool {
			at, err := t.book.Checkpoint(t.Context(), root)
			return err == nil && at.Ended
		})
		t.all.stop()
		for name := range t.book.checkpoints { // as if the worker had died before any of the children
			if name != root && name != consumer.Beginning {
				delete(t.book.checkpoints, name)
			}
		}
		t.put(2)
		time.Sleep(25 * time.Hour)
		t.put(3)
		t.isTrimmed()
	})
}

func TestANewConsumerBeginsWithWhatThereIs(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(0)
		split(t.T, t.kinesis, firstShard(t.T, t.kinesis))
		time.Sleep(25 * time.Hour) // the parent is gone
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		t.put(2)
		t.start() // and goes on
		defer t.all.stop()
		t.takes(2)
	})
}

// anew says that the stream was made later.
type anew struct{ service }

func (a anew) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, o ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	out, err := a.service.DescribeStreamSummary(ctx, in, o...)
	if err == nil {
		out.StreamDescriptionSummary.StreamCreationTimestamp = aws.Time(out.StreamDescriptionSummary.StreamCreationTimestamp.Add(time.Minute))
	}
	return out, err
}

func TestAStreamThatWasMadeAnewIsAnotherStream(t *testing.T) {
	inTrimming(t, func(t trimming) {
		t.put(1)
		t.start()
		t.takes(1)
		t.all.stop()
		t.put(2)
		t.api = anew{t.kinesis}
		t.isTrimmed()
	})
}

// remakes is Kinesis whose stream is deleted and made anew, with other records in it, while a worker reads.
func remakes(t trimming, fake *kinesisfake.Fake) {
	_, err := fake.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String(stream)})
	require.NoError(t, err)
	_, err = fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(stream), ShardCount: aws.Int32(1)})
	require.NoError(t, err)
	t.put(2)
}

// The worker's next look at the stream is a minute away, and its next read a second.
func TestAStreamThatIsMadeAnewWhileAWorkerReadsIsNotMixedWithTheOldOne(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]int{"a shard with records": 1, "a shard without": 0} {
		t.Run(name, func(t *testing.T) {
			inTrimming(t, func(t trimming) {
				fake := t.kinesis.(*kinesisfake.Fake)
				if first > 0 {
					t.put(first)
				}
				t.all = newCrowd(t.api, t.book)
				a := t.all.join(t.T, "a")
				defer t.all.stop()
				time.Sleep(5 * time.Second)
				require.Equal(t, first, t.book.total())
				remakes(t, fake)
				until(t.T, 10*time.Second, "the worker says so", func() bool { return a.errors.has(consumer.ErrTrimmed) })
				time.Sleep(time.Hour)
				assert.Equal(t, first, t.book.total())
			})
		})
	}
}
