// Package relay publishes events of the log to a bus or a stream of another system, through a
// [Publisher]. The log is the outbox: nothing is written twice to be published, and an event is
// published because it was appended, whatever becomes of the process that appended it.
//
// What a [Relay] promises:
//
//   - Every event is published at least once, or is a dead letter that waits for people. A
//     checkpoint passes an event only after the bus has taken its message for good, or together
//     with the dead letter.
//   - The messages of one key arrive in the order of the log, each for the first time. What
//     arrives out of order is a repeat: a message with the id of one that was there before.
//   - A message has the same id each time that it is published.
//   - A message that the bus will never take stops its own key and no other.
//
// Repeats come from a crash between the bus's answer and the checkpoint, from a lost answer, and from a
// worker that was paused in the middle of a request. No fence reaches into the bus, so that request may
// arrive long after another worker has gone on. It can only repeat, for it was made when everything before it
// had been taken; and with it may come the rest of its window, of which the same holds, but no other.
// A consumer that remembers the last version of each stream, or the last position of each key, and drops
// what is not above it, sees each message once and in order. So does one that remembers ids for ever,
// such as another store ([StorePublisher]). A bus that forgets ids after some minutes does not help
// against a long pause.
//
// What it does not promise: order between keys, or that a bus keeps the order in which it took
// messages; see [Limits].OnePerKey for those that do not keep it within a request.
//
// A relay is no projection: nothing rebuilds it, and a rebuild of read models publishes nothing.
// Where it begins is chosen by people, see [Relay.MoveTo].
package relay
