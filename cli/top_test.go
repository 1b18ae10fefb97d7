package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func watched() *top {
	t := &top{rates: map[string]float64{}}
	for n := range 300 {
		t.appended, t.lags = remember(t.appended, float64(n*n%977)), remember(t.lags, float64(n))
	}
	for n := range 30 {
		s := standing{Name: fmt.Sprintf("read_model_%d_of_many", n), Version: 1, Stage: projection.Live, State: subscription.Running, Position: 1_234_567, Head: 1_234_570, Lag: 3}
		t.last.all = append(t.last.all, s)
		t.rates[s.key()] = 1234
	}
	broken := &t.last.all[2]
	broken.State, broken.DeadLetters = subscription.Failed, 2
	broken.Failures = []failure{{Cause: strings.Repeat("it does not decode \x1b[2J", 20)}}
	t.last.at = time.Date(2026, 11, 27, 5, 0, 0, 0, time.UTC)
	return t
}

func TestAScreenOfTopFitsItsTerminal(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 50}, {40, 10}, {20, 2}, {300, 80}} {
		lines := watched().screen(size[0], size[1])
		screen := strings.Join(lines, "\n")
		assert.LessOrEqual(t, len(lines), size[1], size)
		for _, line := range lines {
			assert.LessOrEqual(t, text.StringWidthWithoutEscSequences(line), size[0], "%v: %s", size, line)
		}
		assert.NotContains(t, screen, "\x1b", "what an error says moves no cursor")
	}
	screen := strings.Join(watched().screen(160, 80), "\n")
	assert.Contains(t, screen, "events/s appended")
	assert.Contains(t, screen, "events behind, the slowest")
	assert.Regexp(t, `read_model_2_of_many@1 +failed, 2 dead letters        3     0s     1,234  live        1,234,567\nread_model_0_of_many@1 +running `, screen)
	assert.Contains(t, screen, "read_model_2_of_many@1: it does not decode")
	young := &top{appended: []float64{0, 3}, rates: map[string]float64{}}
	assert.Len(t, young.screen(80, 24), 11, "it has its height from the start")
	t.Log("\n" + strings.Join(young.screen(80, 24), "\n"))
	t.Log("\n" + strings.Join(watched().screen(80, 40), "\n"))
}

func TestALineOfTopSaysWhatMatters(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "05:00:00  494 events/s, 1 failing, 2 dead letters, read_model_29_of_many@1 is 3 behind (0s)", watched().line())
	assert.Equal(t, "00:00:00  0 events/s, 0 failing, 0 dead letters", (&top{}).line())
}
