// Package eventstore is the port of Leftfold: an append-only log of events, and
// nothing else. Aggregates and projections stand on it. Every adapter (now
// adapters/memory and adapters/sqlite) implements it and passes the suite in package
// eventstoretest.
//
// What a store promises:
//
//   - An append is all or nothing. When Append returns nil, its events are durable; in
//     adapters/memory for as long as the process lives.
//   - Positions are 1-based, gap-free and follow commit order. Once a reader has
//     seen position p, no event at or below p may appear later. Checkpoints depend
//     on it: a late event would never be projected.
//   - Versions are 1-based and gap-free within a stream.
//   - The events of one append take consecutive positions, in the order of the request.
//   - A command id is looked up before anything else is checked, and for ever: the
//     same command never takes effect twice.
//   - Payload and metadata are bytes and come back byte for byte.
//
// What it does not promise: an order between two stores, or any meaning of
// RecordedAt beyond information. Clocks never decide an order.
//
// Most programs open a store and hand it to packages aggregate and projection. Use this
// package directly to import events, to read the log, or to write an adapter.
//
// The package imports the standard library only. It speaks bytes; Go types are
// the business of package codec.
package eventstore
