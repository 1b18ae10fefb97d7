package lambdaapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

const (
	shardID = "shardId-000000000000"
	stream  = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"
)

// shard is one of Kinesis as far as it is read: its records by sequence number, of which some may
// have been forgotten.
type (
	shard struct {
		records []record
		empty   int // pages, before the first that has something
		asked   int // how often for a page
	}
	record = types.Record
)

// newShard has records of these contents. Sequence numbers are no run, and get longer.
func newShard(contents ...string) *shard {
	s := new(shard)
	for n, content := range contents {
		s.records = append(s.records, record{SequenceNumber: aws.String(strconv.Itoa(7 * (n + 1))), PartitionKey: aws.String(content), Data: []byte(content)})
	}
	return s
}

func (s *shard) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	if aws.ToString(in.ShardId) != shardID || aws.ToString(in.StreamARN) != stream {
		return nil, errors.New("ResourceNotFoundException")
	}
	after, _ := strconv.Atoi(aws.ToString(in.StartingSequenceNumber))
	if in.ShardIteratorType == types.ShardIteratorTypeAtSequenceNumber {
		after--
	}
	next := slices.IndexFunc(s.records, func(r types.Record) bool { return number(r) > after })
	if next < 0 {
		next = len(s.records)
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(strconv.Itoa(next))}, nil
}

// GetRecords gives three records at a time, and none for some times, as Kinesis may.
func (s *shard) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	next, err := strconv.Atoi(aws.ToString(in.ShardIterator))
	if err != nil {
		return nil, err
	}
	if s.asked++; s.asked <= s.empty {
		return &kinesis.GetRecordsOutput{NextShardIterator: in.ShardIterator}, nil
	}
	end := min(len(s.records), next+3, next+int(*in.Limit))
	return &kinesis.GetRecordsOutput{Records: s.records[next:end], NextShardIterator: aws.String(strconv.Itoa(end))}, nil
}

func number(r types.Record) int {
	n, _ := strconv.Atoi(*r.SequenceNumber)
	return n
}

// event returns what Lambda makes of some of the records.
func (s *shard) event(of ...int) events.KinesisEvent {
	var event events.KinesisEvent
	for _, n := range of {
		r := s.records[n]
		event.Records = append(event.Records, events.KinesisEventRecord{
			EventID: shardID + ":" + *r.SequenceNumber, EventSourceArn: stream,
			Kinesis: events.KinesisRecord{SequenceNumber: *r.SequenceNumber, PartitionKey: *r.PartitionKey, Data: r.Data},
		})
	}
	return event
}

func (s *shard) sequence(n int) string { return *s.records[n].SequenceNumber }

// readModel is a target whose rows and checkpoint move together.
type readModel struct {
	mu   sync.Mutex
	rows []string
	at   consumer.Checkpoint

	poison string // the content that it cannot take
	before func() // Take
}

var errPoison = errors.New("no such thing")

func (m *readModel) Checkpoint(context.Context, string) (consumer.Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, nil
}

func (m *readModel) Take(_ context.Context, b consumer.Batch) error {
	if m.before != nil {
		m.before()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.at.IsAt(b.From) {
		return consumer.ErrLost
	}
	rows := slices.Clone(m.rows)
	for _, r := range b.Records {
		switch string(r.Data) {
		case m.poison:
			return fmt.Errorf("%s: %w", r.Data, errPoison)
		case "panic":
			panic("a target panics")
		}
		rows = append(rows, string(r.Data))
	}
	m.rows, m.at = rows, b.To
	return nil
}

// jsonOf is an answer as Lambda gets it.
func jsonOf(answer any) string {
	encoded, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}
