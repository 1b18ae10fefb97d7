package postgres

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// seen has the primary be looked at, at this moment.
func (w *watch) seen(position int64, timeline int32) {
	now := time.Now()
	w.take(sighted{began: now, ended: now, position: position, timeline: timeline, cluster: 7}, nil)
}

func standbyAt(position int64, timeline int32) sighted {
	now := time.Now()
	return sighted{began: now, ended: now, standby: true, position: position, timeline: timeline, cluster: 7}
}

func lagOf(t *testing.T, w *watch, now sighted) time.Duration {
	t.Helper()
	lag, err := w.compare(sighted{}, now)
	require.NoError(t, err)
	return lag
}

func TestTheLagOfAStandbyIsSinceThePrimaryWasNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		require.Negative(t, lagOf(t, w, standbyAt(10, 1)), "the primary was never seen")
		w.seen(100, 1)
		time.Sleep(time.Second)
		w.seen(200, 1)
		require.Negative(t, lagOf(t, w, standbyAt(99, 1)), "it is from before")
		require.Equal(t, time.Second, lagOf(t, w, standbyAt(100, 1)))
		require.Zero(t, lagOf(t, w, standbyAt(200, 1)))
		require.Zero(t, lagOf(t, w, standbyAt(300, 1)), "it was looked at later than the primary")
		time.Sleep(time.Hour)
		w.seen(200, 1)
		require.Zero(t, lagOf(t, w, standbyAt(200, 1)), "nothing is written")
	})
}

func TestWhileThePrimaryDoesNotAnswerNobodyGetsOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		w.seen(100, 1)
		time.Sleep(time.Second)
		w.seen(200, 1)
		w.take(sighted{}, ErrUnavailable)
		time.Sleep(time.Hour)
		require.Zero(t, lagOf(t, w, standbyAt(200, 1)))
		require.Equal(t, time.Second, lagOf(t, w, standbyAt(100, 1)))
		require.Zero(t, lagOf(t, w, standbyAt(300, 2)), "it follows the next primary, which we have not seen")
		w.take(sighted{standby: true}, nil)
		require.Zero(t, lagOf(t, w, standbyAt(200, 1)), "that is no primary")
	})
}

func TestAStandbyThatIsNoCopyOfThePrimaryIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		w.seen(100, 2)
		other := standbyAt(100, 2)
		other.cluster = 8
		_, err := w.compare(sighted{}, other)
		require.ErrorIs(t, err, errOtherCluster)
		_, err = w.compare(sighted{}, standbyAt(100, 1))
		require.ErrorIs(t, err, errTimeline)
		other.cluster, other.timeline = 0, 0
		require.Zero(t, lagOf(t, w, other), "it tells nothing")

		before := standbyAt(150, 0)
		time.Sleep(time.Second)
		require.Equal(t, time.Second, lagOf(t, w, standbyAt(150, 0)), "the primary may have written so much since")
		w.seen(120, 2)
		_, err = w.compare(before, standbyAt(150, 0))
		require.ErrorIs(t, err, errTimeline, "it had not")
	})
}

func TestWhatWasKnownOfTheLastPrimaryIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		w.seen(100, 1)
		time.Sleep(time.Second)
		w.seen(200, 2)
		require.Negative(t, lagOf(t, w, standbyAt(150, 2)))
		time.Sleep(time.Second)
		w.seen(180, 2)
		require.Negative(t, lagOf(t, w, standbyAt(170, 2)), "less than before: it is another server")
	})
}
