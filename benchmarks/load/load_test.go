package load

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/benchmarks/system"
)

// slowLog is a store in memory whose appends take a millisecond, so that it works in
// virtual time. Its reader is what a test makes of it.
type slowLog struct {
	log    chan int64
	reader func(seen func(int64), ref int64)
}

func newSlowLog(reader func(seen func(int64), ref int64)) slowLog {
	return slowLog{make(chan int64, 1_000_000), reader}
}

func (s slowLog) Append(_ context.Context, a system.Append) (int64, error) {
	time.Sleep(time.Millisecond)
	for _, event := range a.Events {
		s.log <- event.Ref
	}
	return 0, nil
}

func (s slowLog) Subscribe(ctx context.Context, seen func(int64)) error {
	for {
		select {
		case ref := <-s.log:
			s.reader(seen, ref)
		case <-ctx.Done():
			return nil
		}
	}
}

func (s slowLog) Close() {}

func TestTheLossTestFindsWhatAReaderDoesWrong(t *testing.T) {
	first, last := system.NewRef(1, 10), system.NewRef(1, 20)
	held := []int64{}
	for name, c := range map[string]struct {
		reader func(seen func(int64), ref int64)
		want   Loss
	}{
		"nothing": {func(seen func(int64), ref int64) { seen(ref) }, Loss{}},
		"it misses an event": {func(seen func(int64), ref int64) {
			if ref != first {
				seen(ref)
			}
		}, Loss{Missed: 1}},
		"it delivers one three times": {func(seen func(int64), ref int64) {
			seen(ref)
			if ref == first {
				seen(ref)
				seen(ref)
			}
		}, Loss{Duplicated: 2}},
		"it delivers one late": {func(seen func(int64), ref int64) {
			if ref == first {
				held = append(held, ref)
				return
			}
			seen(ref)
			if ref == last {
				seen(held[0])
			}
		}, Loss{OutOfOrder: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newSlowLog(c.reader)
				loss, err := LiveReader(t.Context(), store, 0, Append{Writers: 4, Events: 1, Mixed: true}, 100*time.Millisecond)
				require.NoError(t, err)
				c.want.Committed = 4 * (75 + 25*10) // 100 appends of each writer, every 4th of 10 events
				assert.Equal(t, c.want, loss)
			})
		})
	}
}

func TestTheSeedsAreNotPartOfTheLossTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSlowLog(func(seen func(int64), ref int64) { seen(ref) })
		shape := Shape{Streams: 40, Length: 60}
		require.NoError(t, Seed(t.Context(), store, shape))
		loss, err := LiveReader(t.Context(), store, Events(shape), Append{Writers: 2, Events: 1}, 10*time.Millisecond)
		require.NoError(t, err)
		assert.Equal(t, Loss{Committed: 20}, loss)
	})
}

// versions is a store that knows no more than the version of each stream.
type versions map[string]int64

func (v versions) Append(_ context.Context, a system.Append) (int64, error) {
	time.Sleep(time.Millisecond)
	if v[a.Stream] != a.Expected {
		return 0, assert.AnError
	}
	v[a.Stream] += int64(len(a.Events))
	return 0, nil
}

func (v versions) Close() {}

func TestWritersKnowTheVersionOfTheirStreamsInEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := versions{}
		writers := NewWriters(store, Append{Writers: 1, Events: 10, Salt: "a"})
		for range 2 {
			sample, err := writers.Run(t.Context(), time.Second)
			require.NoError(t, err)
			assert.EqualValues(t, 1000, sample.Ops)
			assert.EqualValues(t, 10_000, sample.Events)
			assert.Equal(t, time.Second, sample.Elapsed)
		}
		for stream, version := range store {
			assert.LessOrEqual(t, version, int64(longEnough), stream)
			assert.Len(t, stream, 24)
		}
	})
}

func TestSeedFillsEveryStreamToItsLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSlowLog(nil)
		shape := Shape{Streams: 50, Length: 60}
		require.NoError(t, Seed(t.Context(), store, shape))
		seen := map[int64]bool{}
		for range Events(shape) {
			seen[<-store.log] = true
		}
		assert.Len(t, seen, 3000, "every event has a ref of its own")
		assert.Empty(t, store.log)
	})
}

func TestARateOfOperationsThatOutlastTheWindowCountsTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sample, err := Replay(100, time.Second, func() (int, error) {
			time.Sleep(4 * time.Second)
			return 100, nil
		})
		require.NoError(t, err)
		assert.InEpsilon(t, 25, sample.EventsPerSecond(), 0.001)
		_, err = Replay(100, time.Second, func() (int, error) { return 99, nil })
		assert.Error(t, err, "a short log is no measurement")
	})
}
