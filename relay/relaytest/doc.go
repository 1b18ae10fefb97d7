// Package relaytest tests publishers and what is published.
//
// [Bus] is a bus in memory, for tests of your own: it remembers what arrived, and does wrong what it
// is told to.
//
// [Run] is the conformance suite of [relay.Publisher], for authors of adapters. Its clauses are
// sentences; a publisher that breaks one fails in words. The last clauses put a relay in front of the
// publisher and have the bus fail by a script that a seed makes: nothing is lost, nothing of a key
// arrives before what comes before it, and what is refused is a dead letter.
package relaytest
