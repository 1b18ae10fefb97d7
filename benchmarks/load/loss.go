package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/benchmarks/system"
)

// Loss is what a live reader saw of the events that writers committed meanwhile.
type Loss struct {
	Committed  int64
	Missed     int64 // never delivered
	Duplicated int64 // deliveries beyond the first
	OutOfOrder int64 // delivered after a later event of the same writer
}

// Times of the loss test.
const (
	grace      = 2500 * time.Millisecond // nothing delivered for so long: the reader has what it will get
	longestLag = 2 * time.Minute         // a reader that is still busy after this counts as it stands
)

// LiveReader appends for the length of the window while one reader follows the log, waits
// until the reader has been idle for 2.5 s, and compares. The reader starts at the
// beginning of the log and is given the time to come through the seeded events first.
func LiveReader(ctx context.Context, store system.Store, seeded int, load Append, window time.Duration) (Loss, error) {
	subscriber, ok := store.(system.Subscriber)
	if !ok {
		return Loss{}, errors.New("the store has no live reader")
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	seen := &delivered{writers: make([]deliveredOf, load.Writers)}
	ended := make(chan error, 1)
	go func() { ended <- subscriber.Subscribe(reading, seen.add) }()

	if err := seen.wait(ctx, ended, func() bool { return seen.seeds >= seeded }); err != nil {
		return Loss{}, fmt.Errorf("wait for the reader to come through %d seeded events: %w", seeded, err)
	}
	writers := NewWriters(store, load)
	if _, err := writers.Run(ctx, window); err != nil {
		return Loss{}, err
	}
	idleSince := time.Now()
	err := seen.wait(ctx, ended, func() bool {
		if seen.last.After(idleSince) {
			idleSince = seen.last
		}
		return time.Since(idleSince) >= grace
	})
	if err != nil && !errors.Is(err, errLagging) {
		return Loss{}, err
	}
	stop()
	if err := <-ended; err != nil {
		return Loss{}, fmt.Errorf("the live reader: %w", err)
	}
	return seen.compare(writers), nil
}

// delivered counts the deliveries of each event.
type delivered struct {
	mu      sync.Mutex
	seeds   int
	last    time.Time
	writers []deliveredOf
}

// deliveredOf is for the events of one writer; the index is the event's number.
type deliveredOf struct {
	times      []uint16
	outOfOrder int64
}

func (d *delivered) add(ref int64) {
	writer := system.RefWriter(ref)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = time.Now()
	if writer >= firstSeedWriter {
		d.seeds++
		return
	}
	d.writers[writer].add(int(ref - system.NewRef(writer, 0)))
}

func (d *deliveredOf) add(nth int) {
	if nth < len(d.times)-1 && d.times[nth] == 0 {
		d.outOfOrder++
	}
	for len(d.times) <= nth {
		d.times = append(d.times, 0)
	}
	d.times[nth]++
}

var errLagging = errors.New("the reader has not caught up")

// wait returns when done, which is asked under the lock.
func (d *delivered) wait(ctx context.Context, ended <-chan error, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(longestLag)
	for {
		d.mu.Lock()
		finished := done()
		d.mu.Unlock()
		if finished {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("the live reader has stopped: %w", err)
		case <-late:
			return errLagging
		case <-tick.C:
		}
	}
}

func (d *delivered) compare(writers *Writers) Loss {
	d.mu.Lock()
	defer d.mu.Unlock()
	var loss Loss
	for n, writer := range writers.writers {
		of := d.writers[n]
		loss.Committed += writer.refs
		loss.OutOfOrder += of.outOfOrder
		for nth := range writer.refs {
			times := int64(0)
			if int(nth) < len(of.times) {
				times = int64(of.times[nth])
			}
			if times == 0 {
				loss.Missed++
			}
			loss.Duplicated += max(times-1, 0)
		}
	}
	return loss
}
