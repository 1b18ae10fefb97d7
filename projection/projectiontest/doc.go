// Package projectiontest tests projections.
//
// [Given] is for users: given these events, a view has these rows. It needs no store.
//
// [RunSink], [RunTxSink] and [RunEffects] are the conformance suite of
// [projection.Sink] and [projection.TxSink], for authors of adapters. Their clauses
// are sentences; a sink that breaks one fails in words. [RunSwitch] asks it while one generation
// replaces another, and [RunInline] asks stores which apply projections in their appends
// ([projection.Inline]). RunWorkers, on Unix, has several processes share a projection, kills and
// pauses them, and counts; RunRebuilds kills those that rebuild one.
package projectiontest
