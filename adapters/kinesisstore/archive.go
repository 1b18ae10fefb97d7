package kinesisstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// Archive keeps files by name, as an object store does: names are paths with slashes.
type Archive interface {
	// Put stores a file durably, whole or not at all. One of that name is replaced.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns a file that Put has stored.
	Get(ctx context.Context, name string) ([]byte, error)
	// List returns the names of all files that begin with the prefix, in any order.
	List(ctx context.Context, prefix string) ([]string, error)
}

// segment is a run of a shard's records, as they came from Kinesis. It begins where From says, so that
// one that is missing is found.
type segment struct {
	Stream  string       `json:"stream"` // its ARN and when it was created
	Shard   string       `json:"shard"`
	Parents []string     `json:"parents,omitempty"`
	From    string       `json:"from"` // the sequence number of the last record before it; empty: none
	To      string       `json:"to"`   // of its own last record
	Ended   bool         `json:"ended"`
	Seen    int64        `json:"seen"` // see [consumer.Checkpoint], in seconds since 1970
	Records []archivedAt `json:"records"`
}

type archivedAt struct {
	Sequence string    `json:"sequence"`
	Key      string    `json:"key"`
	Arrived  time.Time `json:"arrived"`
	Data     []byte    `json:"data"`
}

// checksum is the form of the first line of a file: the SHA-256 of what follows it.
const checksum = "sha256 "

// encode returns a file: its checksum and the segment as JSON, a line each.
func (s segment) encode() ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return append([]byte(checksum+hex.EncodeToString(sum[:])+"\n"), body...), nil
}

func decodeSegment(name string, file []byte) (s segment, err error) {
	line, body, _ := strings.Cut(string(file), "\n")
	sum := sha256.Sum256([]byte(body))
	if line != checksum+hex.EncodeToString(sum[:]) {
		return s, fmt.Errorf("%w: the checksum of %s is wrong", ErrArchive, name)
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return s, fmt.Errorf("%w: %s: %w", ErrArchive, name, err)
	}
	return s, nil
}

// name returns where the segment is: <stream>/<shard>/<from>-<to>. A copy that another worker writes has the same
// name and content; one of two that begin at the same place may reach further.
func (s segment) name(stream Stream) string {
	text := stream.folder() + s.Shard + "/" + orNone(s.From) + "-" + orNone(s.To)
	if s.Ended {
		text += "-end"
	}
	return text + ".json"
}

func orNone(sequence string) string {
	if sequence == "" {
		return "0"
	}
	return sequence
}

// folder is where the segments of the stream are; an earlier one of the same name has another.
func (s Stream) folder() string {
	return fmt.Sprintf("%s-%d/", s.Name, s.CreatedAt.Unix())
}

// Archiver writes the records of a stream to an archive before it hands them on. It is a
// [consumer.Target]: what the next one has taken in is in the archive.
type Archiver struct {
	api     consumer.API
	archive Archive
	stream  Stream
	next    consumer.Target
	begun   atomic.Bool // the beginning is in the archive
	parents sync.Map    // of shards that were asked for and have not ended: []string
}

var _ consumer.Target = (*Archiver)(nil)

// NewArchiver returns an archiver in front of a target, such as an [Index].
func NewArchiver(api consumer.API, archive Archive, stream Stream, next consumer.Target) *Archiver {
	return &Archiver{api: api, archive: archive, stream: stream, next: next}
}

// Checkpoint implements [consumer.Target].
func (a *Archiver) Checkpoint(ctx context.Context, shard string) (consumer.Checkpoint, error) {
	return a.next.Checkpoint(ctx, shard)
}

// Take implements [consumer.Target]. A batch without records that ends no shard writes nothing.
func (a *Archiver) Take(ctx context.Context, batch consumer.Batch) error {
	if batch.Shard != consumer.Beginning && (len(batch.Records) > 0 || batch.To.Ended) {
		if err := a.write(ctx, batch); err != nil {
			return fmt.Errorf("archive shard %s: %w", batch.Shard, err)
		}
	}
	return a.next.Take(ctx, batch)
}

// beginning writes what the next target says of [consumer.Beginning], which does not change once it is there.
func (a *Archiver) beginning(ctx context.Context) error {
	at, err := a.next.Checkpoint(ctx, consumer.Beginning)
	if err != nil || at.Sequence == "" || a.begun.Load() {
		return err
	}
	file, err := segment{Stream: a.stream.life(), Shard: consumer.Beginning, To: at.Sequence, Seen: secondsOf(at.Seen)}.encode()
	if err != nil {
		return err
	}
	if err := a.archive.Put(ctx, a.stream.folder()+beginningFile, file); err != nil {
		return err
	}
	a.begun.Store(true)
	return nil
}

// beginningFile has what the consumer found when it first began: without it nobody could tell shards that
// are missing from those that were gone before.
const beginningFile = "beginning.json"

func (a *Archiver) write(ctx context.Context, batch consumer.Batch) error {
	if err := a.beginning(ctx); err != nil {
		return err
	}
	parents, err := a.parentsOf(ctx, batch.Shard)
	if err != nil {
		return err
	}
	s := segment{
		Stream: a.stream.life(), Shard: batch.Shard, Parents: parents,
		From: batch.From.Sequence, To: batch.To.Sequence, Ended: batch.To.Ended, Seen: secondsOf(batch.To.Seen),
	}
	for _, r := range batch.Records {
		s.Records = append(s.Records, archived(r))
	}
	file, err := s.encode()
	if err != nil {
		return err
	}
	err = a.archive.Put(ctx, s.name(a.stream), file)
	if err == nil && s.Ended {
		a.parents.Delete(s.Shard)
	}
	return err
}

// parentsOf asks for the parents of a shard once: they do not change.
func (a *Archiver) parentsOf(ctx context.Context, shard string) ([]string, error) {
	if known, ok := a.parents.Load(shard); ok {
		return known.([]string), nil
	}
	parents, err := parentsOf(ctx, a.api, a.stream.Name, shard)
	if err == nil {
		a.parents.Store(shard, parents)
	}
	return parents, err
}

func archived(r types.Record) archivedAt {
	a := archivedAt{Sequence: *r.SequenceNumber, Data: r.Data}
	if r.PartitionKey != nil {
		a.Key = *r.PartitionKey
	}
	if r.ApproximateArrivalTimestamp != nil {
		a.Arrived = r.ApproximateArrivalTimestamp.UTC()
	}
	return a
}

func (a archivedAt) record() types.Record {
	return types.Record{SequenceNumber: &a.Sequence, PartitionKey: &a.Key, ApproximateArrivalTimestamp: &a.Arrived, Data: a.Data}
}
