package checkup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAQuestionThatFailedIsNotCalledInOrder(t *testing.T) {
	found := Ask("fsync", func() (Finding, error) { return Fine("fsync", "it is on"), errors.New("no route to host") })
	assert.Equal(t, Unknown, found.Level)
	assert.Equal(t, "fsync", found.Check)
	assert.Contains(t, found.Says, "no route to host")
	assert.NotEmpty(t, found.Advice)

	found = Clock(t.Context(), func(context.Context) (time.Time, error) { return time.Now(), errors.New("no route to host") })
	assert.Equal(t, Unknown, found.Level)
}

func TestAClockIsJudgedByTheMomentsBetweenWhichItAnswered(t *testing.T) {
	before := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	after := before.Add(20 * time.Second) // a slow answer is no wrong clock
	for there, want := range map[time.Duration]Level{
		-999 * time.Millisecond: OK, 0: OK, 20 * time.Second: OK, 20999 * time.Millisecond: OK,
		-time.Second: Warning, 21 * time.Second: Warning, time.Hour: Warning,
	} {
		assert.Equal(t, want, skew(before.Add(there), before, after).Level, there)
	}
	assert.Contains(t, skew(before.Add(-time.Hour), before, after).Says, "1h0m0s behind")
	assert.Contains(t, skew(after.Add(time.Hour), before, after).Says, "1h0m0s ahead of")
}

func TestTheWorstFindingCounts(t *testing.T) {
	fine, warn, unknown, failed := Fine("a", "b"), Warn("a", "b", "c"), Finding{Level: Unknown}, Fail("a", "b", "c")
	assert.Equal(t, OK, Worst(nil))
	assert.Equal(t, Warning, Worst([]Finding{fine, warn, fine}))
	assert.Equal(t, Unknown, Worst([]Finding{unknown, warn}))
	assert.Equal(t, Failed, Worst([]Finding{unknown, failed, fine}))
}
