package kinesisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"

	"github.com/leftfold/leftfold/eventstore"
)

// Pauses between two puts of a record: up to putPause at first, twice as long each time.
const (
	putPause    = 20 * time.Millisecond
	maxPutPause = 2 * time.Second
)

// place is where a record stands.
type place struct{ shard, sequence string }

// decide puts the record, and waits until the index has passed it.
func (s *Store) decide(ctx context.Context, record Record) error {
	data, err := record.Encode()
	if err != nil {
		return err
	}
	if size := len(data) + len(record.Stream); size > s.index.stream.recordBytes() {
		return &eventstore.LimitError{What: "append to " + string(record.Stream) + ": bytes of its Kinesis record", Size: size, Limit: s.index.stream.recordBytes()}
	}
	at, err := s.put(ctx, record, data)
	if err != nil {
		return err
	}
	beat, err := s.index.await(ctx, at)
	if err != nil {
		return &OutcomeUnknownError{
			Commit: record.Commit, Stream: record.Stream, Expect: record.Expect,
			Shard: at.shard, Heartbeat: beat, Cause: "wait for the index: " + err.Error(),
		}
	}
	return nil
}

func (s Stream) recordBytes() int {
	if s.RecordBytes == 0 {
		return maxRecordBytes
	}
	return s.RecordBytes
}

// once has the SDK make one request of a call: what it tells is then the answer to that one, and not to the last
// of several.
func once(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

// put puts the record until a put is acknowledged, or refused for good. Whether one before that was taken is not
// known then, if it had no answer.
func (s *Store) put(ctx context.Context, record Record, data []byte) (place, error) {
	key, doubt := string(record.Stream), false
	in := &kinesis.PutRecordInput{StreamName: &s.index.stream.Name, PartitionKey: &key, Data: data}
	for pause := putPause; ; pause = min(2*pause, maxPutPause) {
		if err := ctx.Err(); err != nil {
			return place{}, s.given(record, doubt, err, err)
		}
		out, err := s.client.PutRecord(ctx, in, once)
		switch {
		case err == nil && out.ShardId != nil && out.SequenceNumber != nil:
			return place{*out.ShardId, *out.SequenceNumber}, nil
		case throttled(err):
		case lasting(err) && doubt:
			return place{}, unknown(record, err.Error())
		case lasting(err):
			return place{}, fmt.Errorf("put a record to %s: %w", s.index.stream.Name, err)
		default:
			doubt = true
		}
		if waited := sleep(ctx, rand.N(pause)); waited != nil {
			return place{}, s.given(record, doubt, waited, err)
		}
	}
}

// given is the error of an append whose context has ended before a put was acknowledged.
func (s *Store) given(record Record, doubt bool, ended, last error) error {
	if !doubt {
		return ended
	}
	return unknown(record, fmt.Sprintf("%v (%v)", last, ended))
}

func unknown(record Record, cause string) error {
	return &OutcomeUnknownError{Commit: record.Commit, Stream: record.Stream, Expect: record.Expect, Cause: "put the record: " + cause}
}

// throttled reports whether Kinesis asks for less: it has taken nothing.
func throttled(err error) bool {
	return hasCode(err, "ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException", "KMSThrottlingException")
}

// lasting reports whether Kinesis refuses for good. It has taken nothing.
func lasting(err error) bool {
	return hasCode(err, "ResourceNotFoundException", "InvalidArgumentException", "ValidationException", "AccessDeniedException",
		"UnrecognizedClientException", "KMSDisabledException", "KMSInvalidStateException", "KMSAccessDeniedException", "KMSNotFoundException", "KMSOptInRequired")
}

func hasCode(err error, codes ...string) bool {
	refusal, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(codes, refusal.ErrorCode())
}
