package kinesisstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/relay"
)

// Limits of a request of PutRecords.
const (
	feedMessages = 500
	feedBytes    = 5 << 20
)

// Feed is a [relay.Publisher] that puts events on a stream of Kinesis, from any store: each as a
// CloudEvent in JSON, under the message's key as the partition key.
//
// PutRecords takes some records of a request and refuses others, in no order. So a request has one message of
// each key, and the next one of a key goes when that was taken: what arrives of a key first arrives in
// order, and what comes out of order is a repeat. A stream that a [Store] is on must not be fed.
type Feed struct {
	// API is *kinesis.Client. Required.
	API interface {
		PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
	}
	// Stream is the name of the stream. Required.
	Stream string
}

var _ relay.Publisher = Feed{}

// Limits implements [relay.Publisher].
func (Feed) Limits() relay.Limits {
	return relay.Limits{Messages: feedMessages, Bytes: feedBytes, MessageBytes: maxRecordBytes, OnePerKey: true}
}

// Size implements [relay.Publisher]: data and partition key.
func (Feed) Size(m relay.Message) int {
	data, err := cloudEvent(m)
	if err != nil {
		return len(m.Data) // Publish says why
	}
	return len(data) + len(partitionKey(m.Key))
}

// cloudEvent is [relay.Message.CloudEvent] with the data's own bytes: JSON stands there as it was written.
func cloudEvent(m relay.Message) ([]byte, error) {
	data := m.Data
	if !json.Valid(data) || !utf8.Valid(data) {
		return m.CloudEvent()
	}
	m.Data = nil
	if len(bytes.TrimSpace(data)) != len(data) { // a decoder would drop what is around it
		m.Data = []byte{0xff}
		text, err := m.CloudEvent()
		return bytes.Replace(text, []byte(`"data_base64":"/w=="`), []byte(`"data_base64":"`+base64.StdEncoding.EncodeToString(data)+`"`), 1), err
	}
	text, err := m.CloudEvent()
	if err != nil {
		return nil, err
	}
	text = append(bytes.TrimSuffix(text, []byte("}")), `,"datacontenttype":"application/json","data":`...)
	return append(append(text, data...), '}'), nil
}

// partitionKey is the key, or a hash of one that is too long to be one.
func partitionKey(key string) string {
	if len(key) > 0 && len(key) <= 256 {
		return key
	}
	id := eventstore.NewCommandID("partition key", key)
	return hex.EncodeToString(id[:])
}

// Publish implements [relay.Publisher].
func (f Feed) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	results := make([]error, len(messages))
	var entries []types.PutRecordsRequestEntry
	var places []int
	for n, m := range messages {
		entry, err := f.entry(m)
		if results[n] = err; err == nil {
			entries, places = append(entries, entry), append(places, n)
		}
	}
	if len(entries) == 0 {
		return results, nil
	}
	of, err := f.put(ctx, entries)
	if err != nil {
		return nil, err
	}
	for n, at := range places {
		results[at] = of[n]
	}
	return results, nil
}

func (f Feed) entry(m relay.Message) (types.PutRecordsRequestEntry, error) {
	data, err := cloudEvent(m)
	key := partitionKey(m.Key)
	if err == nil && len(data)+len(key) > maxRecordBytes {
		err = &eventstore.LimitError{What: "message " + m.Type + ": bytes of its Kinesis record", Size: len(data) + len(key), Limit: maxRecordBytes}
	}
	if err != nil {
		return types.PutRecordsRequestEntry{}, fmt.Errorf("%w: %w", relay.ErrRefused, err)
	}
	return types.PutRecordsRequestEntry{Data: data, PartitionKey: &key}, nil
}

// put makes one request. Kinesis refuses a whole one for a single record that it does not like: then each goes
// alone, to find out which.
func (f Feed) put(ctx context.Context, entries []types.PutRecordsRequestEntry) ([]error, error) {
	out, err := f.API.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &f.Stream, Records: entries})
	switch {
	case err == nil:
		return answers(out, len(entries))
	case hasCode(err, "InvalidArgumentException", "ValidationException") && len(entries) == 1:
		return []error{fmt.Errorf("%w: %w", relay.ErrRefused, err)}, nil
	case hasCode(err, "InvalidArgumentException", "ValidationException"):
		return f.alone(ctx, entries)
	case throttled(err):
		return nil, fmt.Errorf("%w: %w", relay.ErrThrottled, err)
	case lasting(err):
		return nil, fmt.Errorf("%w: %w", subscription.ErrPermanent, err)
	}
	return nil, err
}

func (f Feed) alone(ctx context.Context, entries []types.PutRecordsRequestEntry) ([]error, error) {
	results := make([]error, len(entries))
	for n, entry := range entries {
		of, err := f.put(ctx, []types.PutRecordsRequestEntry{entry})
		if results[n] = err; err == nil {
			results[n] = of[0]
		}
	}
	return results, nil
}

// answers reads what became of each record.
func answers(out *kinesis.PutRecordsOutput, sent int) ([]error, error) {
	if len(out.Records) != sent {
		return nil, fmt.Errorf("PutRecords answers %d of %d records", len(out.Records), sent)
	}
	results := make([]error, sent)
	for n, r := range out.Records {
		if r.ErrorCode == nil || *r.ErrorCode == "" {
			continue
		}
		why := errors.New(*r.ErrorCode)
		if r.ErrorMessage != nil {
			why = fmt.Errorf("%s: %s", *r.ErrorCode, *r.ErrorMessage)
		}
		if results[n] = why; *r.ErrorCode == "ProvisionedThroughputExceededException" {
			results[n] = fmt.Errorf("%w: %w", relay.ErrThrottled, why)
		}
	}
	return results, nil
}
