// Package lambdaapi runs on AWS Lambda what runs in a container: an [net/http.Handler] behind an API
// Gateway, the target of a Kinesis consumer, handlers of messages and events.
//
//	[HTTP]         API Gateway HTTP API, payload 2.0, to an http.Handler and back
//	[Kinesis]      an event source mapping of a stream, to a consumer.Target
//	[SQS]          an event source mapping of a queue
//	[EventBridge]  a rule of a bus
//	[Start]        the program's main loop, with an orderly end
//
// What it promises:
//
//   - A handler answers as it does in a container; the texts above it differ in nothing but how
//     they came.
//   - Each record of a shard has its effect on a read model once. The target's checkpoint, which moves in
//     the transaction of the read model, decides what is new; what Lambda believes does not.
//   - A batch that does not begin where the checkpoint ends is refused ([ErrGap]), never passed over.
//   - What has failed is named, so that Lambda gives it again, and what comes behind it too where order
//     matters. Nothing that was not taken in is reported as done.
//
// What it does not promise: messages of SQS and events of EventBridge come at least once, and in no order
// but that of a FIFO queue's groups.
//
// It was tried with the Runtime API of our own tests, after AWS's documentation, and not on AWS.
package lambdaapi
