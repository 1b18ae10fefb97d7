// Package memory keeps the log in the memory of one process, for tests, simulations
// and examples. It is the reference: where another adapter behaves differently and
// the port does not say which is right, this one is.
//
// What it promises: everything that package eventstore promises, except durability.
// The log ends with the process.
//
// It waits on channels only, so that it works inside a testing/synctest bubble.
package memory
