package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteWaits lets SQLite do the waiting on connections that read. They meet a lock
// only while the write-ahead log is being recovered or removed.
var sqliteWaits = fmt.Sprintf("_busy_timeout=%d", busyTimeout.Milliseconds())

// patiently repeats do while another process has the file locked.
func patiently(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(busyTimeout)
	for {
		err := do()
		if !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, busyPoll); err != nil {
			return err
		}
	}
}

func isBusy(err error) bool {
	failure, ok := errors.AsType[*driver.Error](err)
	return ok && failure.Code()&0xff == sqlite3.SQLITE_BUSY
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// semaphore lets so many in as its channel holds.
type semaphore chan struct{}

func (s semaphore) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s semaphore) release() { <-s }

// drain waits until everybody who is in has left.
func (s semaphore) drain(ctx context.Context) error {
	for range cap(s) {
		select {
		case s <- struct{}{}: // even if ctx has ended
		default:
			if err := s.take(ctx); err != nil {
				return err
			}
		}
		defer s.release() // only once all of them are taken
	}
	return nil
}
