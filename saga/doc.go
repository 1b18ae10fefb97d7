// Package saga keeps several services consistent without a transaction around them: an instance
// of a saga reacts to events with commands, waits for what becomes of them, and undoes what was
// done when something fails.
//
// [Define] describes a saga that directs its steps (orchestration); [React] answers an event with
// commands (choreography). A [Worker] runs them, in as many processes as you like; a [Dispatcher]
// carries the commands.
//
// An instance is a stream of its own. What it is told and what it decides because of it (its
// state, the commands that it requests, its timers) are written in one append. So after a crash
// at any moment an instance goes on as if there had been none:
//
//   - an event, a timer and the result of a command each take effect on an instance once;
//   - a command is dispatched at least once, always under the same id, and not any more when its
//     result is known. Who handles it must be idempotent by that id, as package command is;
//   - a timer fires at least once and takes effect once, not before it is due;
//   - of two events for one instance at the same time, the second is decided on what the first
//     has made of it.
//
// The same code decides in a test without a store, see package sagatest, and again on recorded
// instances, see [Check]. Replaying or rebuilding a read model never dispatches anything.
//
// A step looks at events from its start on. An answer may come before that: somebody pays before the
// step that waits for the payment has begun. Let the step that asks wait for the answer (Do and Done in
// one step, or a step Together with it), or have the rule of the event note it in the state, and the
// step send a command that depends on it.
//
// An instance's stream holds a copy of each event that it was told. One that is so near the store's limit
// (1 MiB in most) that the copy exceeds it is parked; what is large belongs elsewhere, with its address in the event.
//
// Keep instances and checkpoints in one database, so that a backup has both: [Worker].Sink is best that of
// [Worker].Store. If the store of the instances alone was restored, call [Worker.Rewind]. Until then
// what was told to the instances that are lost stays lost, and the dispatching stops as diverged.
//
// What the package does not promise: isolation. Others see what a saga has done so far, and
// compensations are commands like any other.
package saga
