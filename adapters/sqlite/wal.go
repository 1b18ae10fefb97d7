package sqlite

import (
	"context"
	"os"
	"time"
)

// SQLite moves the write-ahead log into the file by itself, every thousand pages, but
// it starts the log anew only at a moment when nobody reads from it. With readers that
// follow each other there is no such moment, and the log grows without end: 16 MB for
// 2 MB of events, in a test with ten readers. So when the log is too large we wait for
// the readers under way, which takes them some milliseconds; those that come meanwhile
// find everything in the file itself and are not waited for.

// trimWAL empties the write-ahead log if it is too large. Its caller holds the turn to
// write. A failure is nobody's concern: what is in the log is durable there, and the
// next commits try again, once the log has grown as much again.
func (f *file) trimWAL() {
	size := f.walSize()
	if size < f.trimAt {
		return
	}
	f.trimAt = size + f.maxWAL
	deadline := time.Now().Add(trimPatience)
	for time.Now().Before(deadline) {
		if f.truncateWAL() {
			f.trimAt = f.maxWAL
			return
		}
		time.Sleep(busyPoll)
	}
}

func (f *file) truncateWAL() bool {
	var busy, pages, moved int
	err := f.writer.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	return err == nil && busy == 0
}

func (f *file) walSize() int64 {
	info, err := os.Stat(f.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}
