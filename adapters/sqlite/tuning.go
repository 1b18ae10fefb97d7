package sqlite

import "time"

// The tuning numbers, with the benchmark or test that they come from.
const (
	// How much goes into one transaction, and how much may wait for the next. The fsync
	// is 1 ms of the 14 ms that a batch of 1000 events takes, so larger batches would
	// only add to the latency. BenchmarkAppend.
	batchEvents   = 1000
	batchBytes    = 4 << 20
	queuedBatches = 8
	yields        = 1

	// How much of a read is in memory at a time: a page is fetched whole and its
	// connection given back before the caller sees the first event. BenchmarkReplay.
	pageEvents = 1000
	pageBytes  = 4 << 20

	// How many read connections a file has. SQLite reads from memory most of the time,
	// so more of them than processors only wait for each other. BenchmarkLoadStream.
	defaultReaders = 8

	// How long we wait for another process to finish its transaction, and how often we
	// try meanwhile. SQLite would sleep longer and longer, up to 100 ms, and hardly ever
	// meet the short moment between two batches of a busy process: of two processes with
	// 64 writers each, one got a sixth of the file and waited up to 4 seconds; with this
	// each gets a half. TestTwoProcessesWriteOneFile.
	busyTimeout = 5 * time.Second
	busyPoll    = 500 * time.Microsecond

	// How often the commits of another process are looked for while somebody waits: often
	// at first, then ever more seldom. TestAnAppendOfAnotherProcessWakesAWaiter.
	minPoll = 2 * time.Millisecond
	maxPoll = 50 * time.Millisecond

	// How large the write-ahead log may become, and how long we wait for readers to
	// leave it then. TestTheWriteAheadLogDoesNotGrowWithoutEnd.
	maxWAL       = 16 << 20
	trimPatience = 250 * time.Millisecond

	// How many events of a tag are looked at to see how dense it is. TestTheRarestTagLeads.
	tagSample = 64

	// How often we ask what became of a transaction before we give up.
	// TestWhatCannotBeSettledIsUnknown.
	settleAttempts = 3
)
