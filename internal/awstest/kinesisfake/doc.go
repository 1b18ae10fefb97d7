// Package kinesisfake is Amazon Kinesis Data Streams in process, for tests: [Fake] has the
// methods of the SDK's client that Leftfold calls, and answers as the service does.
//
// What it keeps to, with the source (the API's reference and the page on quotas):
//
//   - A record's shard is decided by the MD5 of its partition key; sequence numbers rise within
//     a shard, and have holes.
//   - A shard takes 1 MiB and 1000 records a second, and gives 2 MiB, 5 GetRecords and 5
//     GetShardIterator a second. More is a ProvisionedThroughputExceededException.
//   - A record with its key is at most 1 MiB; GetRecords gives at most 10 MiB or 10 000 records,
//     PutRecords takes at most 500 records and 10 MiB.
//   - An iterator lives for 300 s. Records live for the stream's retention, and a closed shard
//     for as long as its records may.
//   - A subscription to a shard lives for 5 minutes, and is not made twice in 5 s.
//   - A shard that was split or merged is closed: its iterators give what it has, then nil and
//     the child shards.
//   - Reading after a record that is gone begins, without a word, at the oldest that is left.
//
// Two things are stricter than they need be, so that no test gets by with luck: GetRecords
// gives a closed shard's end in an answer of its own, and sequence numbers have 56 digits,
// which no integer of Go holds.
//
// Resharding and the creation of a stream are done when the call returns; the service takes
// seconds. Limits of the account (on DescribeStreamSummary, ListShards and SplitShard) are not
// there.
//
// Times are those of Options.Now. Its default, time.Now, is virtual in a bubble of
// testing/synctest.
package kinesisfake
