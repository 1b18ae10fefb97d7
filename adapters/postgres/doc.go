// Package postgres keeps the log, and read models, in schemas of a Postgres database.
//
// What it promises: everything that package eventstore promises, for any number of
// processes that write and read one schema. When Append returns, its transaction has been
// committed by a server that flushes before it acknowledges; [Open] refuses others.
//
// Where the server waits for a synchronous standby, an append is acknowledged when the standby
// has it. While the standby is away appends wait, then end as [eventstore.ErrOutcomeUnknown];
// so they do if somebody cancels the wait, and the events are in the log of this server then,
// for readers to see and for a failover to lose. A transaction of your own is committed by
// you: a server that has not waited for its standby tells it by a warning to COMMIT only.
//
// # How an append is made
//
// All appends that wait at one moment go to the server together, as one call of the function
// leftfold.append and so as one transaction with one flush. The function takes the one lock
// of the store, reads the head, checks the whole batch against the log, and inserts it at
// the next positions. Positions therefore have no gaps and follow the order of commits: a
// reader that has seen p will never meet an event at or below p again. The lock is held for
// one round trip and one flush, shared by the whole batch. One plain event that waits alone
// goes by leftfold.append_one, which does the same in one statement.
//
// # What it costs
//
// One store is one total order, so its rate is what one backend of the server can do. Stores
// in other schemas check and write beside it, but not their commits: a commit that notifies,
// as every append does, holds a lock of the whole server until it is flushed, and until the
// synchronous standby has it if there is one. So the appends of all stores on one server, and
// every NOTIFY of other programs in any database, are flushed one after the other. An append
// that has waited 5 seconds for that lock is [eventstore.ErrStoreBusy].
//
// A lone writer is slower than with a plain INSERT, lone writers in several processes take
// turns, and the shared flush wins from some number of writers on; benchmarks/results.txt has
// the figures, and make bench-peers measures them anew.
//
// # Read models
//
// A [Sink] keeps the rows of a view in a table of typed columns, in the schema of the log
// ([Store.Sink]) or in any other ([OpenSink]). Each event takes effect on it exactly once: the
// checkpoint moves in the transaction that writes the rows, and only from where the runner found
// it. A window of the log takes two round trips: one loads the rows that it touches, one writes
// them and moves the checkpoint. Handlers write what they like in a transaction of the sink; see
// [Sink.Transact].
//
// A commit of a read model notifies nobody, so it waits for no other commit of the server.
// Other processes are told by a statement behind it, which has nothing to flush. So readers who
// wait for a token are woken wherever they are; on a standby, and through a proxy that shares
// connections, they look again every few milliseconds.
//
// # Read replicas
//
// [OpenReplicas] gives the questions of readers to standbys, and to the primary what no standby has
// yet. Each answer is one statement on one server, which tells how far it is together with the
// rows; so a standby that lags, an address that leads to several servers, or a promotion, may cost
// another question and never make an answer older than it must be. [Replicas.Read] and [Sink.Read]
// are the same for SQL: one transaction that has what is required. A standby needs
// hot_standby only, and may be asynchronous. A service that does not tell pg_last_wal_replay_lsn,
// such as Aurora, cannot be probed: its readers are put aside.
//
// # Inline projections
//
// With [Options].Inline and [Store.SwitchInline] an append applies projections in its own
// transaction. A batch is three round trips then in place of one: BEGIN and append; load; write,
// move the checkpoints and COMMIT. Handlers take one more, and one for each of their statements.
// The lock of the store is held from the first to the last, and one batch is under way at a time;
// BenchmarkInline has the figures. A program that stops in the middle loses its transaction, and
// with it the lock, after 5 seconds.
//
// # Privileges
//
// A role that appends needs the right to execute six functions and no right to write a
// table; one that projects needs the right to create tables, and one that appends with inline
// projections needs both; [ToQuery] is enough for readers, on standbys too; see [Grant]. Triggers refuse
// changes of what was recorded to everybody, the owner included, who could drop them.
//
// The statements are in sql/, one per file, and the schema with its functions in migrations/.
package postgres
