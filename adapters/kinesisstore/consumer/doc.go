// Package consumer reads a Kinesis stream with several workers, in order, and misses nothing.
//
// The records of a shard are handed to a [Target] in the order of the shard, and a shard that came
// out of a split or a merge only after everything in its parents: so the records of one partition
// key keep their order when the stream is resharded. How far a shard has been taken in is a checkpoint
// that the target keeps. It moves by compare-and-set, in the transaction that makes the work
// durable, so each record takes effect once, whatever happens to the workers. A target whose work is
// not in that transaction, such as [Func], gets records again after a crash.
//
// [Worker]s share the shards by leases. A lease divides the work and nothing else: a worker that was
// paused for an hour and still believes in its leases is told [ErrLost] by the target.
//
// Kinesis trims records that are older than its retention, whether anybody has read them or not, and
// hands out what is left as if nothing had been there. The consumer stops such a shard with
// [ErrTrimmed]: see there for what it goes by.
//
// Kinesis allows five reads a second of each shard, for all consumers of the stream together.
//
// For a plain consumer that keeps nothing in a transaction, and where a stream is not resharded while
// workers come and go, github.com/harlow/kinesis-consumer v0.5.0 is a ready-made choice with more
// stores for checkpoints. It keeps the end of parents in the memory of a process, or, with its leases, does not wait
// for parents, and knows nothing of transactions: that is why this package exists.
//
// Tested against Kinesis's emulators and a fake with its limits; not against AWS.
package consumer
