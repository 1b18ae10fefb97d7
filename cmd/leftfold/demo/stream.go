package demo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
	"github.com/leftfold/leftfold/relay"
)

// streamed is what the stream has of the events of the services.
type streamed struct {
	Records int64 `json:"records"` // of this shop
	Repeats int64 `json:"repeats"` // records of an event that is there before
	Events  int64 `json:"events"`

	wrong []string
}

// reading is what is used of *kinesis.Client.
type reading interface {
	ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// readStream reads the stream from its beginning, and holds it against the logs: each event is there, and
// without repeats those of each stream are in its order. What others have put there is passed by.
func readStream(ctx context.Context, from reading, stream string, parts books.Services) (*streamed, error) {
	s := &streamed{}
	missing, ours, err := decided(ctx, parts)
	if err != nil {
		return nil, err
	}
	known := int64(len(missing))
	last, seen := map[string]eventstore.Version{}, map[eventstore.EventID]bool{}
	err = records(ctx, from, stream, func(data []byte) {
		m, err := relay.ParseCloudEvent(data)
		if err != nil || !ours[m.Source] {
			return
		}
		s.Records++
		if seen[m.EventID] {
			s.Repeats++
			return
		}
		stream := m.Source.String() + " " + string(m.Stream)
		if m.Version <= last[stream] {
			s.wrong = append(s.wrong, fmt.Sprintf("the stream has version %d of %s after version %d", m.Version, m.Stream, last[stream]))
		}
		seen[m.EventID], last[stream] = true, m.Version
		if _, expected := missing[m.EventID]; !expected {
			s.wrong = append(s.wrong, fmt.Sprintf("the stream has event %s of %s, and no log has", m.EventID, m.Stream))
		}
		delete(missing, m.EventID)
	})
	s.Events = known - int64(len(missing))
	for id, m := range missing {
		s.wrong = append(s.wrong, fmt.Sprintf("the stream lacks %d of %d events, such as %s (%s, version %d of %s)", len(missing), known, id, m.Type, m.Version, m.Stream))
		break
	}
	return s, err
}

// decided returns what the services have decided on, and the ids of their stores.
func decided(ctx context.Context, parts books.Services) (all map[eventstore.EventID]eventstore.Recorded, of map[eventstore.StoreID]bool, err error) {
	all, of = map[eventstore.EventID]eventstore.Recorded{}, map[eventstore.StoreID]bool{}
	for _, name := range shop.Names[:len(shop.Names)-1] { // the gateway decides on nothing
		head, err := parts[name].Store.Head(ctx)
		if err != nil {
			return nil, nil, err
		}
		of[head.Store] = true
		var own []string
		for _, t := range parts[name].Service.Events.Types() {
			own = append(own, t.Name)
		}
		log, err := parts[name].Store.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types(own...)})
		if err != nil {
			return nil, nil, err
		}
		for m, err := range log.Events() {
			if err != nil {
				return nil, nil, err
			}
			all[m.ID] = m
		}
	}
	return all, of, nil
}

// records reads all that a stream has, shard by shard.
func records(ctx context.Context, from reading, stream string, do func(data []byte)) error {
	for next := (&kinesis.ListShardsInput{StreamName: &stream}); next != nil; {
		page, err := from.ListShards(ctx, next)
		if err != nil {
			return fmt.Errorf("read the stream %s: %w", stream, err)
		}
		for _, shard := range page.Shards {
			if err := recordsOf(ctx, from, stream, shard, do); err != nil {
				return fmt.Errorf("read the stream %s: %w", stream, err)
			}
		}
		next = nil
		if page.NextToken != nil {
			next = &kinesis.ListShardsInput{NextToken: page.NextToken}
		}
	}
	return nil
}

func recordsOf(ctx context.Context, from reading, stream string, shard types.Shard, do func(data []byte)) error {
	at, err := from.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		return err
	}
	for next := at.ShardIterator; next != nil; {
		got, err := from.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
		if err != nil {
			return err
		}
		for _, record := range got.Records {
			do(record.Data)
		}
		if len(got.Records) == 0 && got.MillisBehindLatest != nil && *got.MillisBehindLatest == 0 {
			return nil
		}
		next = got.NextShardIterator
	}
	return nil
}
