package kinesisfake

import "time"

const (
	kib = 1 << 10
	mib = 1 << 20

	recordsASecond   = 1000
	writtenASecond   = 1 * mib
	readsASecond     = 5
	readASecond      = 2 * mib
	iteratorsASecond = 5

	largestRecord  = 1 * mib // with its key
	largestPut     = 10 * mib
	longestPut     = 500
	largestGet     = 10 * mib
	longestGet     = 10_000
	longestKey     = 256 // characters
	iteratorLives  = 300 * time.Second
	tokenLives     = 300 * time.Second
	shardsAPage    = 1000
	firstRetention = 24 * time.Hour
	lastRetention  = 8760 * time.Hour
)

// bucket holds what was used of a limit per second; it empties at the limit's rate.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) drain(now time.Time, rate float64) {
	b.level = max(0, b.level-now.Sub(b.at).Seconds()*rate)
	b.at = now
}

// has reports whether n more fit.
func (b *bucket) has(now time.Time, rate, n float64) bool {
	b.drain(now, rate)
	return b.level+n <= rate
}

func (b *bucket) add(n float64) { b.level += n }

// limits are those of one shard.
type limits struct {
	records, written       bucket
	reads, read, iterators bucket
	readAgain              time.Time // after an answer of more than a second's worth
}

func (l *limits) write(now time.Time, size int) error {
	if !l.records.has(now, recordsASecond, 1) || !l.written.has(now, writtenASecond, float64(size)) {
		return throttled("rate exceeded for the shard: 1000 records and 1 MiB a second")
	}
	l.records.add(1)
	l.written.add(float64(size))
	return nil
}

// beforeRead takes one of the shard's reads.
func (l *limits) beforeRead(now time.Time) error {
	switch {
	case !l.reads.has(now, readsASecond, 1):
		return throttled("rate exceeded for the shard: 5 GetRecords a second")
	case now.Before(l.readAgain), !l.read.has(now, readASecond, 1):
		return throttled("rate exceeded for the shard: 2 MiB read a second")
	}
	l.reads.add(1)
	return nil
}

// afterRead counts what was read. 10 MiB at once leave the shard unreadable for 5 s.
func (l *limits) afterRead(now time.Time, size int) {
	l.read.add(float64(size))
	if size > readASecond {
		l.readAgain = now.Add(time.Duration(float64(size) / readASecond * float64(time.Second)))
	}
}

func (l *limits) iterator(now time.Time) error {
	if !l.iterators.has(now, iteratorsASecond, 1) {
		return throttled("rate exceeded for the shard: 5 GetShardIterator a second")
	}
	l.iterators.add(1)
	return nil
}
