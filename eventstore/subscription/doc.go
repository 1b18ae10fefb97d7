// Package subscription reads the log in order, window by window, and hands each
// window to a target that applies it and moves its checkpoint in one atomic step.
//
// Because effect and checkpoint are one step, every event takes effect exactly once
// on the target, whatever happens between two steps: a crash, a lost answer, a
// second process that runs the same subscription. The step compares the stored
// checkpoint with the one the window was read from; whoever comes second is told
// [ErrStale] and starts again from what is stored.
//
// Each window starts with a look at the event that the checkpoint names, its anchor.
// If that event is gone or another one stands there, the log was rolled back under
// the reader (a failover, a restore): the subscription stops with
// [eventstore.ErrDiverged] rather than skip what the log has now.
//
// While a window is applied the next one is read. That changes nothing in the above: a window
// knows the event that it begins behind, and is applied where the checkpoint names that event.
//
// A [Worker] shares a subscription with other workers: its keys are divided into segments,
// each with a checkpoint and a lease of its own, see [Leases]. The segments that one worker has
// share what is read.
//
// What the package does not promise: exactly-once for effects outside the target's
// own transaction. A target that calls other systems is called at least once.
package subscription
