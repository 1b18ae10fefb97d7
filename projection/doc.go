// Package projection turns the log into read models.
//
// A [View] is a keyed left fold: pure functions over one row, and the engine does
// all the I/O in bulk. It collects the keys that a window of events touches, loads
// those rows, folds, and commits the changed rows together with the checkpoint. The
// same View runs unchanged on every [Sink].
//
// A [Handler] is for everything else: it writes what it likes in the sink's own
// transaction, and the runner moves the checkpoint in that transaction.
//
// Either way every event takes effect exactly once on the read model, under crashes,
// lost answers and rival processes, because effect and checkpoint commit together
// and the checkpoint moves by compare-and-set. What a Handler does outside its
// transaction happens at least once.
//
// A [Runner] runs projections in one process; a [Worker] shares them with workers in any number
// of processes, sets keys aside whose rows cannot be made, and tells how it does by [StatusOf].
//
// A [Generation] is one build of a read model. A view of a higher version is built beside the live
// one and replaces it when it has caught up: by a [Worker] of the new program, or by [Rebuild].
// See also [Rollback], [Retire], [Reset] and [Audit].
//
// On Postgres and SQLite a store can apply projections in the transactions of its own appends
// ([Inline]): then readers see a row as soon as the append returns, and an append is refused if
// a projection cannot apply it.
//
// Folds must be pure: the same events must give the same rows, or a rebuilt read
// model will differ from the live one, and does not replace it.
package projection
