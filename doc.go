// Package leftfold is the front door of an event-sourcing framework: state is a
// left fold over events that are kept for ever. It holds no code, only this tour.
//
// Commands append events to an append-only store, projections fold the events into
// read models, and queries answer from those. The way of the data, hop by hop:
//
//	hop             package                  what happens there
//	--------------  -----------------------  ------------------------------------------------
//	request in      adapters/httpapi         strict JSON becomes a command, a plain struct
//	dispatch        command                  Bus: finds the handler, runs the middleware
//	load, fold      aggregate                Repository: reads a stream, folds it into state
//	decide          your code                a pure function from state to new events
//	encode          eventstore/codec         a Go value becomes a type name and bytes
//	append          eventstore               all events or none, at the next positions
//	store           adapters/postgres        a schema; adapters/sqlite: a file; memory: for tests
//	read the log    eventstore/subscription  in order, from a checkpoint
//	fold into rows  projection               View: one row per key, rows and checkpoint together
//	react           saga                     events in, commands and timers out, in one append
//	ask             query                    Bus: waits for your own write, then reads
//	answer          adapters/httpapi         JSON, or a problem that says what to do
//
// The path turns back once only: inside [aggregate.Repository] Execute, when another
// writer was faster, which reads and decides again. Bytes meet Go types in one place,
// package codec.
//
// Where to go from here:
//
//   - examples/quickstart is the whole idea in one short program.
//   - examples/http answers to curl; examples/bank has accounts with a past; examples/shop is a
//     retail shop fed with the invoices of a real one.
//   - cmd/leftfold is the command line; its demo imports the shop's orders, projects
//     them, replays everything and checks that nothing was lost; its trace shows who did
//     what when in one conversation.
//   - eventstore has the contracts that everything else stands on. An adapter is right
//     when it passes the suite in eventstore/eventstoretest.
//   - aggregate/aggregatetest, projection/projectiontest and saga/sagatest are the
//     Given/When/Then kits for your own tests; they need no store.
//   - deps_test.go, beside this file, says which package may import which, and fails
//     when one does otherwise.
//   - docs has the glossary, the style and the decisions behind the design.
//
// [aggregate.Repository]: https://pkg.go.dev/github.com/leftfold/leftfold/aggregate#Repository
package leftfold
