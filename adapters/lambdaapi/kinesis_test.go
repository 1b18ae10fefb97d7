package lambdaapi_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

const none = `{"batchItemFailures":[]}`

func failed(sequence string) string {
	return `{"batchItemFailures":[{"itemIdentifier":"` + sequence + `"}]}`
}

func function(s lambdaapi.Shards, target consumer.Target) func(context.Context, events.KinesisEvent) (events.KinesisEventResponse, error) {
	return lambdaapi.Kinesis(s, target, lambdaapi.KinesisOptions{Logger: quiet})
}

func TestAPoisonRecordIsNamedAndWhatStandsBeforeItIsNotRepeated(t *testing.T) {
	for _, poison := range []string{"c", "panic"} {
		s, m := newShard("a", "b", poison, "d", "e"), &readModel{poison: poison}
		f := function(s, m)
		answer, err := f(t.Context(), s.event(0, 1, 2, 3, 4))
		require.NoError(t, err)
		assert.Equal(t, failed(s.sequence(2)), jsonOf(answer))
		assert.Equal(t, []string{"a", "b"}, m.rows)

		answer, err = f(t.Context(), s.event(0, 1, 2, 3, 4)) // all of it again, as when the answer is lost
		require.NoError(t, err)
		assert.Equal(t, failed(s.sequence(2)), jsonOf(answer))
		assert.Equal(t, []string{"a", "b"}, m.rows)

		s.records[2].Data, m.poison = []byte("c"), "" // mended
		answer, err = f(t.Context(), s.event(2, 3, 4))
		require.NoError(t, err)
		assert.JSONEq(t, none, jsonOf(answer))
		assert.Equal(t, []string{"a", "b", "c", "d", "e"}, m.rows)
	}
}

func TestABatchThatIsGivenAgainChangesNothing(t *testing.T) {
	s, m := newShard("a", "b", "c"), &readModel{}
	for range 3 {
		answer, err := function(s, m)(t.Context(), s.event(0, 1, 2))
		require.NoError(t, err)
		assert.JSONEq(t, none, jsonOf(answer))
		assert.Equal(t, []string{"a", "b", "c"}, m.rows)
	}
	answer, err := function(s, m)(t.Context(), events.KinesisEvent{})
	require.NoError(t, err)
	assert.JSONEq(t, none, jsonOf(answer))
}

func TestABatchBehindAGapIsRefused(t *testing.T) {
	for name, batches := range map[string][][]int{
		"Lambda gave up on a record":              {{0, 1}, {3, 4}},
		"it gave up before the first was taken":   {{1, 2}},
		"a filter leaves records out":             {{0}, {1, 3}},
		"two invocations divide a shard by key":   {{0, 2, 4}},
		"the gap is behind what is dropped":       {{0, 1}, {0, 1, 3}},
		"a filter leaves the second of many away": {{0, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := newShard("a", "b", "c", "d", "e"), &readModel{}
			last := len(batches) - 1
			for _, batch := range batches[:last] {
				_, err := function(s, m)(t.Context(), s.event(batch...))
				require.NoError(t, err)
			}
			before := slices.Clone(m.rows)
			_, err := function(s, m)(t.Context(), s.event(batches[last]...))
			require.ErrorIs(t, err, lambdaapi.ErrGap)
			assert.Equal(t, before, m.rows)
		})
	}
}

// Lambda begins again at the oldest record that there is, and the shard has nothing else to tell.
func TestABatchIsRefusedWhenTheShardMayHaveForgottenWhatCameBeforeIt(t *testing.T) {
	s, m := newShard("a", "b", "c", "d", "e"), &readModel{}
	_, err := function(s, m)(t.Context(), s.event(0, 1))
	require.NoError(t, err)
	s.records = s.records[3:]
	_, err = function(s, m)(t.Context(), s.event(0, 1))
	require.ErrorIs(t, err, lambdaapi.ErrGap)
	require.ErrorContains(t, err, "the record of the checkpoint, 14, is there no more")
	assert.Equal(t, []string{"a", "b"}, m.rows)
}

// What Kinesis says of an iterator at a record that it has trimmed is not documented. This is the other answer.
func TestABatchIsRefusedWhenTheShardDoesNotKnowTheRecordOfTheCheckpoint(t *testing.T) {
	s, m := newShard("a", "b", "c"), &readModel{}
	_, err := function(s, m)(t.Context(), s.event(0, 1))
	require.NoError(t, err)
	_, err = function(forgetful{s}, m)(t.Context(), s.event(2))
	require.ErrorIs(t, err, lambdaapi.ErrGap)
	require.ErrorContains(t, err, "the record of the checkpoint, 14, is there no more")
	_, err = function(forgetful{s}, &readModel{})(t.Context(), s.event(0))
	require.NotErrorIs(t, err, lambdaapi.ErrGap, "there is no checkpoint: something else is wrong")
	require.Error(t, err)
}

type forgetful struct{ *shard }

func (forgetful) GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	return nil, &types.InvalidArgumentException{Message: aws.String("StartingSequenceNumber 14 used in GetShardIterator is invalid")}
}

// With enhanced fan-out the source of a mapping is the consumer, which has no records of its own.
func TestAMappingWithEnhancedFanOutAsksTheStream(t *testing.T) {
	s, m := newShard("a", "b"), &readModel{}
	event := s.event(0, 1)
	for n := range event.Records {
		event.Records[n].EventSourceArn = stream + "/consumer/reader:1620000000"
	}
	answer, err := function(s, m)(t.Context(), event)
	require.NoError(t, err)
	assert.JSONEq(t, none, jsonOf(answer))
	assert.Equal(t, []string{"a", "b"}, m.rows)
}

// A shard takes five reads a second of all its readers together.
func TestEmptyPagesAreNotAskedForAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newShard("a", "b"), &readModel{}
		s.empty = 10
		began := time.Now()
		_, err := function(s, m)(t.Context(), s.event(0, 1))
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b"}, m.rows)
		assert.GreaterOrEqual(t, time.Since(began), 2*time.Second)

		s.empty = 1_000_000 // it comes to no end: the invocation does
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = function(s, &readModel{})(ctx, s.event(0, 1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, s.asked, 500)
	})
}

func TestAShardThatHasEndedTakesNoMore(t *testing.T) {
	s, m := newShard("a", "b"), &readModel{at: consumer.Checkpoint{Sequence: "7", Ended: true}}
	answer, err := function(s, m)(t.Context(), s.event(0))
	require.NoError(t, err)
	assert.JSONEq(t, none, jsonOf(answer), "that it has had")
	_, err = function(s, m)(t.Context(), s.event(1))
	require.ErrorIs(t, err, lambdaapi.ErrGap)
}

// An invocation that was paused between the checkpoint and its transaction finds that another has
// had the batch meanwhile.
func TestAZombieChangesNothing(t *testing.T) {
	s, m := newShard("a", "b"), &readModel{}
	m.before = func() {
		m.before = nil
		answer, err := function(s, m)(t.Context(), s.event(0, 1))
		assert.NoError(t, err)
		assert.JSONEq(t, none, jsonOf(answer))
	}
	answer, err := function(s, m)(t.Context(), s.event(0, 1))
	require.NoError(t, err)
	assert.Equal(t, failed(s.sequence(0)), jsonOf(answer), "given again, it will be dropped")
	assert.Equal(t, []string{"a", "b"}, m.rows)
}

func TestAnInvocationThatIsOverTakesNothing(t *testing.T) {
	s, m := newShard("a", "b"), &readModel{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	answer, err := function(s, m)(ctx, s.event(0, 1))
	require.NoError(t, err)
	assert.Equal(t, failed(s.sequence(0)), jsonOf(answer))
	assert.Empty(t, m.rows)
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	s, m := newShard("a", "b"), &readModel{}
	foreign := s.event(0)
	foreign.Records[0].EventID = "x"
	two := s.event(0, 1)
	two.Records[1].EventID = "shardId-000000000001:14"
	for _, event := range []events.KinesisEvent{foreign, two, s.event(1, 0), s.event(0, 0)} {
		_, err := function(s, m)(t.Context(), event)
		require.Error(t, err)
	}
	_, err := function(downShards{s}, m)(t.Context(), s.event(0))
	require.ErrorContains(t, err, "throttled")
	assert.Empty(t, m.rows)
}

type downShards struct{ *shard }

func (downShards) GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	return nil, errors.New("throttled")
}

func TestWhateverLambdaRepeatsEachRecordHasItsEffectOnce(t *testing.T) {
	for seed := range uint64(200) {
		s, m := lambdaShard(), &readModel{}
		require.NoError(t, repeats(t, s, s, m, m, seed))
	}
}

// The twins: what the promise rests on is taken away, a piece at a time.
func TestPlantedBugsInATargetAreFound(t *testing.T) {
	for name, broken := range map[string]func(*readModel) consumer.Target{
		"a checkpoint that is not moved":       func(m *readModel) consumer.Target { return stuck{m} },
		"rows outside of the transaction":      func(m *readModel) consumer.Target { return leaking{m} },
		"a checkpoint that is moved on errors": func(m *readModel) consumer.Target { return hasty{m} },
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			for seed := uint64(0); err == nil && seed < 200; seed++ {
				s, m := lambdaShard(), &readModel{}
				err = repeats(t, s, s, m, broken(m), seed)
			}
			require.Error(t, err)
		})
	}
}

// The twin believes the batch, and loses what another invocation of the same shard had not taken yet.
func TestPlantedBugABatchThatIsBelievedIsFound(t *testing.T) {
	s, m := newShard("a", "b", "c", "d"), &readModel{}
	believed := s.event(0, 2)
	f := function(&shard{records: []record{s.records[0], s.records[2]}}, m)
	_, err := f(t.Context(), believed)
	require.NoError(t, err)
	_, err = function(s, m)(t.Context(), s.event(1, 3))
	require.NoError(t, err)
	assert.NotContains(t, m.rows, "b")
}

func lambdaShard() *shard {
	var contents []string
	for n := range 30 {
		contents = append(contents, "r"+strconv.Itoa(n))
	}
	return newShard(contents...)
}

// repeats plays an event source mapping that loses answers and gives batches again and cut otherwise, to
// two sandboxes, with a record that fails at first. At its end each record must have had its effect once, in order.
func repeats(t *testing.T, shards lambdaapi.Shards, s *shard, m *readModel, target consumer.Target, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	sandboxes := []func(context.Context, events.KinesisEvent) (events.KinesisEventResponse, error){function(shards, target), function(shards, target)}
	m.poison = "r" + strconv.Itoa(random.IntN(len(s.records)))
	for next, tries := 0, 0; next < len(s.records); tries++ {
		if tries == 40 {
			m.poison = ""
		}
		if tries > 500 {
			return errors.New("it does not come to an end")
		}
		var batch []int
		for n := next; n < min(len(s.records), next+1+random.IntN(9)); n++ {
			batch = append(batch, n)
		}
		answer, err := sandboxes[random.IntN(2)](t.Context(), s.event(batch...))
		if err != nil {
			return err
		}
		switch {
		case random.IntN(3) == 0: // the answer is lost
		case len(answer.BatchItemFailures) == 0:
			next += len(batch)
		default:
			next = slices.IndexFunc(s.records, func(r record) bool { return *r.SequenceNumber == answer.BatchItemFailures[0].ItemIdentifier })
		}
	}
	for n, r := range s.records {
		if n >= len(m.rows) || m.rows[n] != string(r.Data) {
			return fmt.Errorf("the read model has %v", m.rows)
		}
	}
	if len(m.rows) != len(s.records) {
		return fmt.Errorf("the read model has %v", m.rows)
	}
	return nil
}

type stuck struct{ *readModel }

func (s stuck) Take(ctx context.Context, b consumer.Batch) error {
	err := s.readModel.Take(ctx, b)
	s.at = b.From
	return err
}

type leaking struct{ *readModel }

func (l leaking) Take(ctx context.Context, b consumer.Batch) error {
	for _, r := range b.Records {
		to := consumer.Checkpoint{Sequence: aws.ToString(r.SequenceNumber)}
		if err := l.readModel.Take(ctx, consumer.Batch{Shard: b.Shard, From: l.at, To: to, Records: []record{r}}); err != nil {
			l.at = b.From
			return err
		}
	}
	return nil
}

type hasty struct{ *readModel }

func (h hasty) Take(ctx context.Context, b consumer.Batch) error {
	err := h.readModel.Take(ctx, b)
	h.at = b.To
	return err
}
