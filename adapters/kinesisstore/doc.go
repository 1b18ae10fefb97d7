// Package kinesisstore is an event store on a stream of Amazon Kinesis, with optimistic concurrency.
//
// Use it if Kinesis must be the system of record. Otherwise let Postgres be the truth and Kinesis
// the feed: a [Feed] behind a relay puts the events of any store on a stream, in order per key.
//
// Kinesis has no conditional put, no read by key, and keeps records for a year at most. So:
//
//   - One append is one record, with the version that it expects. The order of the shard decides: of
//     several records that expect one version the first counts, and every copy of a record is too late. That is
//     the fold, [Judge], and whoever folds the stream comes to the same events.
//   - An [Index] is the fold in a store of adapters/postgres, or adapters/sqlite for one machine. An
//     [Indexer] keeps it up with the stream: a shard's checkpoint moves in the transaction that takes
//     its records in, and a shard is read only after the ends of its parents are in the index.
//   - A [Store] puts and waits until the index has passed the record. It reads from the index: gap-free
//     positions, tags, wake-ups and all. An index that is behind can cause a conflict, never a wrong append.
//   - An [Archiver] writes records to files before the index has them, and [Rebuild] makes an index
//     of them. What has left the stream and is in no archive is in the index alone.
//
// What it promises is the contract of package eventstore with these limits, which it declares and refuses
// with [eventstore.ErrUnsupported]: no append conditions, no appends to several streams or of no events, and
// command ids are never pruned. A command id is known on its stream. An append must fit into one record,
// 1 MiB with its stream's name. Events of several streams have the order in which the index took them in;
// another index has another one, and is another incarnation of the store. RecordedAt is when the index
// took the event in, so a rebuilt index has new times. An append takes as long as the way back: up to the
// indexer's Poll, 200 ms, longer than the put.
//
// The stream must keep the records of a partition key together, and nobody else may put records on it
// or append to the index's store: each is noticed, and halts what it would spoil.
//
// Tested on a fake with Kinesis's limits and on an emulator (kinesis-local); not on AWS.
package kinesisstore
