// Package aggregate makes decisions on event-sourced state: load the events, fold them
// into a state, decide, append what was decided.
//
// A [Type] says what an aggregate is: its category, its events and the fold. A
// [Repository] executes decisions on aggregates of one type, [ExecuteAll] one command
// over several aggregates, and [Decide] a decision over whatever events a query selects.
// [Repository.History] tells what happened to an aggregate and who did it.
//
// What it promises:
//
//   - What is appended was decided on the newest state. If another writer was faster,
//     the state is read again and the decision made again, up to a limit.
//   - Each Execute appends once, all or nothing. A refused decision appends nothing.
//   - Under a command id it takes effect at most once, however often it is repeated: a
//     repeat returns the first receipt, even if the decision would be refused by now.
//   - A value that an event claims ([eventstore.TagKey.Claim]) has one holder at a time.
//   - States may be kept, in snapshots ([Snapshots]) and in a cache ([Repository.WithCache]), and
//     nothing above changes: what was kept is used if the log proves that it holds.
//   - An event that cannot be decoded aborts the command. No state is ever folded from
//     part of its events.
//
// What it does not promise: that a decision runs only once, or that a refusal is
// remembered. Decisions must be pure.
package aggregate
