// Package torture has the tests that need more than one adapter at a time, and real servers for
// all of them. It has no code but those tests.
package torture
