// Package groupcommit collects appends that wait for a transaction, so that many of them
// share one and its flush to disk.
//
// Any number of goroutines submit; one appender waits, cuts a batch, makes it durable,
// answers everybody in it, and only then cuts the next. The batch is whatever has arrived
// meanwhile: a lone writer waits for nobody, and many share what one would pay for.
package groupcommit
