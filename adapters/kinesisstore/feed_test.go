package kinesisstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay/relaytest"
)

func TestFeedIsAPublisher(t *testing.T) {
	t.Parallel()
	relaytest.Run(t, func(t testing.TB) relaytest.Subject {
		c := unlimited(nil)
		far := &farEnd{client: c, name: newStream(t, c, 2), faults: map[string]relaytest.Fault{}}
		return relaytest.Subject{
			Publisher: kinesisstore.Feed{API: far, Stream: far.name},
			Arrivals:  far.arrivals, Break: far.fail,
			Parts: relaytest.Parts{Store: memory.NewStore(), Sink: memory.NewSink()},
		}
	})
}

// farEnd is the fake with faults by message.
type farEnd struct {
	client

	name   string
	mu     sync.Mutex
	faults map[string]relaytest.Fault
}

func (f *farEnd) fail(id string, how relaytest.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[id] = how
}

// next returns the fault of a message. One that happens once is over then.
func (f *farEnd) next(data []byte) relaytest.Fault {
	var e struct{ ID string }
	_ = json.Unmarshal(data, &e)
	f.mu.Lock()
	defer f.mu.Unlock()
	how := f.faults[e.ID]
	if how != relaytest.Refused {
		delete(f.faults, e.ID)
	}
	return how
}

func (f *farEnd) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	out := &kinesis.PutRecordsOutput{Records: make([]types.PutRecordsResultEntry, len(in.Records))}
	var pass []types.PutRecordsRequestEntry
	var places []int
	lost, hows := false, make([]relaytest.Fault, len(in.Records))
	for n, r := range in.Records {
		if hows[n] = f.peek(r.Data); hows[n] == relaytest.Refused {
			why := "the fake does not like it"
			return nil, &types.InvalidArgumentException{Message: &why}
		}
	}
	for n, r := range in.Records {
		code := ""
		switch f.next(r.Data) {
		case relaytest.Busy:
			code = "InternalFailure"
		case relaytest.Throttled:
			code = "ProvisionedThroughputExceededException"
		case relaytest.Lost:
			return nil, io.ErrUnexpectedEOF
		case relaytest.AnswerLost:
			lost = true
		}
		if code != "" {
			out.Records[n].ErrorCode = &code
			continue
		}
		pass, places = append(pass, r), append(places, n)
	}
	if len(pass) > 0 {
		done, err := f.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: in.StreamName, Records: pass}, o...)
		if err != nil {
			return nil, err
		}
		for n, at := range places {
			out.Records[at] = done.Records[n]
		}
	}
	if lost {
		return nil, io.ErrUnexpectedEOF
	}
	return out, nil
}

func (f *farEnd) peek(data []byte) relaytest.Fault {
	var e struct{ ID string }
	_ = json.Unmarshal(data, &e)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults[e.ID]
}

// arrivals reads what a consumer of the stream sees.
func (f *farEnd) arrivals(ctx context.Context) (all []relaytest.Arrival, err error) {
	shards, err := reader{client: f.client, stream: f.name}.shards(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range shards {
		it, err := f.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: &f.name, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			return nil, err
		}
		for at := it.ShardIterator; ; {
			out, err := f.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at})
			if err != nil {
				return nil, err
			}
			for _, r := range out.Records {
				a, err := arrival(r)
				if err != nil {
					return nil, err
				}
				all = append(all, a)
			}
			if at = out.NextShardIterator; len(out.Records) == 0 {
				break
			}
		}
	}
	return all, nil
}

func arrival(r types.Record) (a relaytest.Arrival, err error) {
	var e struct {
		ID, Type, PartitionKey, StreamVersion string
		Data                                  json.RawMessage
		Base64                                []byte `json:"data_base64"`
	}
	if err := json.Unmarshal(r.Data, &e); err != nil {
		return a, err
	}
	if *r.PartitionKey != e.PartitionKey {
		return a, fmt.Errorf("partition key %q, want %q", *r.PartitionKey, e.PartitionKey)
	}
	version, err := strconv.ParseInt(e.StreamVersion, 10, 64)
	a = relaytest.Arrival{ID: e.ID, Key: e.PartitionKey, Version: eventstore.Version(version), Type: e.Type, Data: string(e.Data)}
	if e.Data == nil {
		a.Data = string(e.Base64)
	}
	return a, err
}
