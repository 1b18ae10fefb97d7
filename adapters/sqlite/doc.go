// Package sqlite keeps the log in one SQLite file: no server, no cgo, the default for
// programs that run on one machine.
//
// What it promises: everything that package eventstore promises. When Append returns,
// the events have been fsynced (WAL, synchronous=FULL, checked when the file is
// opened). Many appends share one transaction and so one fsync; see [Store.Append].
//
// Several processes may read and write one file at once, on one machine: SQLite's
// locks do not work on network file systems. A writer waits up to 5 seconds for
// another process and then gives [ErrBusy]. A reader of one process wakes up when
// another appends, within 50 ms.
//
// With [Options].Inline and [Store.SwitchInline] an append applies projections in its own
// transaction, in bulk for all appends that share it.
//
// [Store.InSQL] and [Store.Transact] append in a transaction of yours on the same file, so that your
// rows and the events are there together.
//
// What it does not promise: protection from a disk that lies about fsync, or from a
// program that changes the file behind our back. A trigger refuses updates and
// deletes of events, to stop accidents, not attackers.
//
// A file that is removed or replaced while it is open takes no more appends
// ([ErrReplaced]): close the store, and open it again. To restore a backup, stop every
// program that uses the file first.
//
// The statements are in sql/, one per file, and the schema in migrations/.
package sqlite
