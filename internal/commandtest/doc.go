// Package commandtest is a small bank for tests of command ids: commands of every kind, dispatched
// through a bus to a store that fails, by clients that repeat what they have no answer to, and a
// check of the answers against an independent read of the log.
//
// A store keeps the promise if every command has taken effect exactly once or was refused for a true
// reason, and if each answer says what is in the log.
package commandtest
