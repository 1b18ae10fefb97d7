package postgres

import "time"

// The tuning numbers. benchmarks/ measures those that are about speed.
const (
	// How much goes into one transaction, and how much may wait for the next.
	batchEvents   = 1000
	batchBytes    = 4 << 20
	queuedBatches = 8

	// How long the writers that have just been answered may take to be in the next batch: less
	// than its flush. With eight writers it doubles the rate.
	comeBack = 50 * time.Microsecond

	// A batch of so many events is sent while another is under way. With fewer, the flush that
	// each batch costs is worth more than the time in which the server would wait for us.
	overlapEvents = 16

	// How often a batch is sent whose connection is lost each time.
	lostTries = 3

	// How much of a read is in memory at a time: a page is fetched whole and its
	// connection given back before the caller sees the first event.
	pageEvents      = 5000
	firstPageEvents = 1000
	pageBytes       = 4 << 20

	// How many reads run at the same time; others wait.
	defaultReaders = 8

	// How many statements of a sink run at the same time, and as many transactions of handlers.
	sinkConns = 8
	// How much a sink writes by one statement; a window of larger rows takes several.
	commitBytes = 64 << 20

	// How long the server may take for one batch before its connection is given up. It waits
	// up to 5 s for the lock of the store (lock_timeout, see database.configure).
	batchPatience = 30 * time.Second

	// How long we try to find out what became of a batch whose answer was lost, before its
	// callers are told that nobody knows.
	settlePatience = 30 * time.Second

	// How long a caller whose context has ended waits for the answer of an append that has
	// been sent.
	answerPatience = 250 * time.Millisecond

	// How long we try to reach the server before those who wait are told, and how often.
	reconnectPatience = 10 * time.Second
	reconnectPause    = 50 * time.Millisecond

	// How often a store that polls asks for the head: often at first, then ever more seldom.
	// And how often one that listens asks all the same.
	minPoll   = 5 * time.Millisecond
	maxPoll   = 50 * time.Millisecond
	lookEvery = time.Second

	// How often at the most other processes are told that read models were committed, and how
	// often they wake those who wait.
	tellEvery = 5 * time.Millisecond
	hearEvery = time.Millisecond

	// How many blocks of command ids are pruned in one transaction: a megabyte, some 10,000 ids.
	pruneBlocks = 128

	// How many events of a tag are looked at to see how dense it is.
	tagSample = 64
)
