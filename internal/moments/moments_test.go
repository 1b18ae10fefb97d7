package moments_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/internal/moments"
)

var start = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)

func TestTheAgeOfACopyIsToldByTheLastMomentItHasReached(t *testing.T) {
	t.Parallel()
	var h moments.History
	assert.Zero(t, h.Reached(100))
	_, known := h.Newest()
	assert.False(t, known)
	for n := range 10 {
		h.Remember(moments.Moment{At: start.Add(time.Duration(n) * time.Second), Position: int64(n / 2)})
	}
	assert.Equal(t, start.Add(9*time.Second), h.Reached(4), "it stood still for a moment")
	assert.Equal(t, start.Add(7*time.Second), h.Reached(3))
	assert.Equal(t, start.Add(9*time.Second), h.Reached(99))
	assert.Zero(t, h.Reached(-1))
	newest, _ := h.Newest()
	assert.Equal(t, moments.Moment{At: start.Add(9 * time.Second), Position: 4}, newest)
	h.Forget()
	assert.Zero(t, h.Reached(99))
}

func TestALongHistoryTellsAgesToATenthAndStaysShort(t *testing.T) {
	t.Parallel()
	var h moments.History
	const seconds = 20_000
	for n := range int64(seconds) {
		h.Remember(moments.Moment{At: start.Add(time.Duration(n) * time.Second), Position: n})
	}
	now := start.Add(seconds * time.Second)
	for age := time.Second; age < seconds*time.Second; age = age*3/2 + time.Second {
		told := now.Sub(h.Reached(int64((seconds*time.Second - age) / time.Second)))
		assert.GreaterOrEqual(t, told, age, "never younger than it is")
		assert.LessOrEqual(t, told, age+age/8+2*time.Second)
	}
	kept := 0
	for n := range int64(seconds) {
		if h.Reached(n).Equal(start.Add(time.Duration(n) * time.Second)) {
			kept++
		}
	}
	assert.Less(t, kept, 150)
}
