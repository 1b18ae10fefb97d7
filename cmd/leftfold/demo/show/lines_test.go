package show_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
)

// full is a frame with something of everything. Its numbers are made up: it is never shown to anybody.
func full() show.Frame {
	var history []float64
	for n := range 60 {
		history = append(history, float64(n*n%97))
	}
	return show.Frame{
		Title: "leftfold demo", Store: "SQLite leftfold-demo", Took: 83 * time.Second,
		Services: []show.Service{
			{"order", ":7001", show.Up}, {"payment", ":7002", show.Killed}, {"inventory", ":40123", show.Down},
			{"shipping", ":7004", show.Up}, {"gateway", ":7000", show.Up},
		},
		Commands: show.Commands{Rate: show.Rate{PerSecond: 412.4, History: history, Total: 18_330}, P50: 1100 * time.Microsecond, P99: 61 * time.Millisecond, Conflicts: 3},
		Events:   show.Rate{PerSecond: 1204, History: history[:20], Total: 1_018_330},
		Queries:  show.Queries{Rate: show.Rate{PerSecond: 99, History: history, Total: 4711}, Failed: 2},
		Sagas:    show.Sagas{Running: 12, Done: 1902, Compensated: 41},
		Views: []show.View{
			{Name: "orders@2", Lag: 0}, {Name: "sales_by_day_and_country@1", Lag: 12_345, Behind: 2300 * time.Millisecond},
			{Name: "stock@1", Lag: 7, Behind: 3 * time.Minute, Trouble: "event 4711 does not decode: \x1b[2J" + strings.Repeat("very ", 60) + "long"},
		},
		Story: []show.Line{
			{Text: "order 536365 was compensated"}, {Text: "+0.00 s  order placed: 7 lines, £139.12"}, {Text: "+0.02 s  stock reserved"},
			{Text: "+0.04 s  payment DECLINED", Mark: show.Bad}, {Text: "+0.05 s  stock released"}, {Text: "+0.06 s  order cancelled"},
		},
		Bars: []show.Bar{{Title: "rebuild orders@2", Phase: "replaying", Done: 1_164_203, Total: 2_000_000, PerSecond: 52_000, ETA: 16 * time.Second}},
		Messages: []show.Line{
			{Text: "the first of all"}, {Text: "payment was killed (kill -9)", Mark: show.Bad}, {Text: "payment is up again after 0.8 s", Mark: show.Good}, {Text: "日本語の商品 was ordered"},
			{Text: "orders@2 is live: 2,000,000 events in 38.5 s, 4,711 queries answered meanwhile, 2 failed \x1b[2J"},
		},
		Keys: []show.Key{{"r", "rebuild a read model"}, {"k", "kill a service"}, {"q", "quit"}},
	}
}

// After a wanted change: LEFTFOLD_WRITE_GOLDEN=1 go test ./cmd/leftfold/demo/show
func TestAFrameLooksLikeThis(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 45}} {
		for _, colour := range []bool{false, true} {
			file := filepath.Join("testdata", fmt.Sprintf("%dx%d-colour-%t.txt", size[0], size[1], colour))
			got := strings.Join(show.Lines(full(), size[0], size[1], colour), "\n") + "\n"
			if os.Getenv("LEFTFOLD_WRITE_GOLDEN") == "1" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got, file)
		}
	}
}

func TestAFrameFitsEveryTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{1, 7, 20, 40, 79, 80, 81, 119, 120, 160, 300} {
		for _, height := range []int{1, 2, 5, 10, 23, 24, 25, 60} {
			for _, f := range []show.Frame{full(), {}} {
				for _, colour := range []bool{false, true} {
					lines := show.Lines(f, width, height, colour)
					assert.LessOrEqual(t, len(lines), height, "%dx%d", width, height)
					for _, line := range lines {
						assert.LessOrEqual(t, text.StringWidthWithoutEscSequences(line), width, "%dx%d: %q", width, height, line)
					}
				}
			}
		}
	}
}
