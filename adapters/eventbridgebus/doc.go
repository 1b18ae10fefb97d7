// Package eventbridgebus carries events between services over Amazon EventBridge: a [Publisher] for a
// relay on one side, and on the other what is taken from the bus, by a [Consumer] of an SQS queue or by
// a Lambda function.
//
// The bus delivers at least once and in no order, so nobody may apply what comes from it as it comes. There
// are two ways to a read model, and both end in the usual projection engine, where rows and checkpoint
// commit together. So each event has its effect once, in the order of its stream, in every sink:
//
//   - [Doorbell], where the event store can be reached: an event from the bus only says that there is
//     something to read. The projection reads the store.
//   - [Inbox], where it cannot: the events are put into a store of the receiver's own, in the order of
//     each stream, and projections read that. What is early is held there until what is missing has come.
//
// An event is deleted from the queue only after that. What fails comes again, and in the end goes
// to the queue's dead letter queue, if it has one.
//
// A [Replay] brings what an archive has into an inbox again. The bus and its archive are for distribution and
// recovery; they are no event store: they cannot read a stream, keep no order and refuse no
// append that comes too late.
//
// This package was tested with emulators only, never with AWS itself.
package eventbridgebus
