package relay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

// StorePublisher publishes into another store: each message is an event there, exactly once. The
// message's id is the command id of its append, and the store knows it for ever; so a repeat, from a
// paused worker too, changes nothing.
//
// The event has an id made of the message's, its type, tags and data, and its metadata. There the
// cause is the event that it was made from, and [MetadataSourceStream] and the like say where that is. A
// stream that was deleted there, and what the store finds invalid or too large, is refused for good; so
// is the tombstone of a deleted stream, which Query or Translate can leave out.
type StorePublisher struct {
	// Store is the other store. Required.
	Store eventstore.Appender
	// Stream returns the stream that a message goes to. Messages of one key must go to one stream, or
	// their order is lost. Default: the stream of the same name.
	Stream func(message Message) eventstore.StreamID
}

// Metadata of the events that a [StorePublisher] appends: where the event is that each was made from.
const (
	MetadataSourceStream   = "source_stream"
	MetadataSourceVersion  = "source_version"
	MetadataSourcePosition = "source_position"
)

// storeMessages are those of one request: a store that commits several appends together takes as
// many keys at a time.
const storeMessages = 64

var _ Publisher = StorePublisher{}

// Limits implements [Publisher]. How large an event may be is the store's to say.
func (p StorePublisher) Limits() Limits { return Limits{Messages: storeMessages} }

// Size implements [Publisher].
func (p StorePublisher) Size(m Message) int { return len(m.Data) }

// errBehind is the result of a message whose key has failed before it.
var errBehind = errors.New("a message of its key before it was not taken")

// Publish implements [Publisher]: the keys at the same time, the messages of each one after the other.
func (p StorePublisher) Publish(ctx context.Context, messages []Message) ([]error, error) {
	keys := map[string][]int{}
	for n, m := range messages {
		keys[m.Key] = append(keys[m.Key], n)
	}
	results := make([]error, len(messages))
	var all sync.WaitGroup
	for _, numbers := range keys {
		all.Go(func() {
			var failed error
			for _, n := range numbers {
				if results[n] = failed; failed != nil {
					continue
				}
				if results[n] = p.append(ctx, messages[n]); results[n] != nil {
					failed = errBehind
				}
			}
		})
	}
	all.Wait()
	return results, nil
}

func (p StorePublisher) append(ctx context.Context, m Message) (err error) {
	defer recovered("Store", &err) // we are on a goroutine of our own
	id, err := commandOf(m)
	if err != nil {
		return &refusal{err}
	}
	stream := m.Stream
	if p.Stream != nil {
		stream = p.Stream(m)
	}
	metadata := eventstore.Metadata{}
	maps.Copy(metadata, m.Metadata)
	maps.Copy(metadata, eventstore.Metadata{
		eventstore.MetadataCausationID: m.EventID.String(),
		MetadataSourceStream:           string(m.Stream),
		MetadataSourceVersion:          strconv.FormatInt(int64(m.Version), 10),
		MetadataSourcePosition:         strconv.FormatInt(int64(m.Position), 10),
	})
	_, err = p.Store.Append(ctx, eventstore.AppendRequest{
		Command: eventstore.Command{ID: id},
		Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{
			ID: eventstore.EventID(id), Type: m.Type, SchemaVersion: m.SchemaVersion, Tags: m.Tags, Data: m.Data, Metadata: metadata.Encode(),
		}}}},
	})
	for _, lasting := range []error{eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrStreamDeleted, eventstore.ErrUnsupported} {
		if errors.Is(err, lasting) {
			return &refusal{err}
		}
	}
	if errors.Is(err, eventstore.ErrStoreBusy) {
		return fmt.Errorf("%w: %w", ErrThrottled, err)
	}
	return err
}

// commandOf returns the command id that a message's id is.
func commandOf(m Message) (id eventstore.CommandID, err error) {
	raw, err := hex.DecodeString(m.ID)
	if err != nil || len(raw) != len(id) {
		return id, &eventstore.InvalidError{What: "message id", Value: m.ID, Reason: "want 32 hexadecimal digits, as a relay makes them"}
	}
	return eventstore.CommandID(raw), nil
}
