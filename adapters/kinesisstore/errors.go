package kinesisstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/eventstore"
)

// What happened, for errors.Is.
var (
	// ErrGap: records are missing before one that was read. They have left the stream before they were
	// indexed, or a shard was read before its parents. The shard stands still, the others go on:
	// nothing wrong gets into the index. Build a new index from the archive by [Rebuild].
	ErrGap = errors.New("kinesisstore: records are missing: build a new index from the archive by Rebuild")
	// ErrTrimmed: records have left the stream before they were indexed, or nothing shows that they
	// have not. The shard stands still. Build a new index from an archive by [Rebuild]. The archive of the indexer
	// that has stopped ends where its index does; what helps is one that went on meanwhile: that of an [Archiver] on a
	// consumer of its own, with leases and checkpoints of its own.
	ErrTrimmed = consumer.ErrTrimmed
	// ErrBehind: a shard is so far behind that half of the stream's retention has passed. Give the indexer what
	// it lacks, or raise the retention: what is older than that is gone.
	ErrBehind = errors.New("kinesisstore: the index is behind by half of what the stream keeps")
	// ErrForeignRecord: the stream has a record that this program cannot read. The shard stands still.
	// A newer Leftfold has written it: upgrade the indexer first. Or another program has: a store needs a stream
	// that nobody else writes to.
	ErrForeignRecord = errors.New("kinesisstore: a record that is not of this store")
	// ErrForeignWrite: somebody else than the indexer has appended to the store that the index is in. Build
	// a new index by [Rebuild], and let nobody append to that store.
	ErrForeignWrite = errors.New("kinesisstore: the store of the index was appended to by somebody else: build a new index by Rebuild")
	// ErrOtherStream: the index is that of another stream, or of an earlier one of the same name.
	ErrOtherStream = errors.New("kinesisstore: the index is of another stream")
	// ErrNoIndex: there is no index where one was looked for by [FindIndex]. Name the database that the indexer keeps, or
	// run one there first: [OpenIndex] makes it.
	ErrNoIndex = errors.New("kinesisstore: there is no index of a stream in this database: name the one that the indexer keeps, or run an indexer there first")
	// ErrPartitionKeys: the stream spreads its records as it likes (record distribution AUTO), so that those
	// of one key have no order. Set it to USER_PARTITION_KEY, and build a new index.
	ErrPartitionKeys = errors.New("kinesisstore: the stream does not keep records of one partition key together: set its record distribution to USER_PARTITION_KEY")
	// ErrNotEmpty: a rebuild needs an index that nothing was taken into.
	ErrNotEmpty = errors.New("kinesisstore: the index is not empty: rebuild into a new database or schema")
	// ErrArchive: the archive lacks a segment, or one is damaged. Nothing behind it was taken in.
	ErrArchive = errors.New("kinesisstore: the archive is incomplete")
)

// OutcomeUnknownError says that an append was given up before it was settled: mostly, because its context ended. It matches
// [eventstore.ErrOutcomeUnknown]. The same request under [WithCommit] settles it; so does
// the same command id.
type OutcomeUnknownError struct {
	Commit CommitID
	Stream eventstore.StreamID
	// Expect is the version at which the record was put last, or was to be.
	Expect eventstore.Version
	// Shard has the record, if a put was acknowledged. Then the append waited for the indexer.
	Shard string
	// Heartbeat is when the indexer last gave a sign of life there; zero: never.
	Heartbeat time.Time
	// Cause is why it ended, in words: its error would say that nothing was appended.
	Cause string
}

func (e *OutcomeUnknownError) Error() string {
	text := fmt.Sprintf("append to %s at version %d: %s: %s; the same request under kinesisstore.WithCommit of %s finds out",
		e.Stream, e.Expect, eventstore.ErrOutcomeUnknown, e.Cause, e.Commit)
	switch {
	case e.Shard == "":
		return text
	case e.Heartbeat.IsZero():
		return text + fmt.Sprintf("; it is on shard %s, which no indexer has read yet: is one running?", e.Shard)
	}
	return text + fmt.Sprintf("; it is on shard %s, whose indexer last gave a sign of life at %s", e.Shard, e.Heartbeat.Format(time.RFC3339Nano))
}

// Is reports whether target is [eventstore.ErrOutcomeUnknown].
func (e *OutcomeUnknownError) Is(target error) bool { return target == eventstore.ErrOutcomeUnknown }
