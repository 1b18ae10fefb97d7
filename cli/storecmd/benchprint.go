package storecmd

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/cli"
)

// sample is one run of a load.
type sample struct {
	events int
	took   time.Duration
	calls  []time.Duration // how long each took; none where a run is one call
}

// measured are the medians of its runs. Rates are a second, times are milliseconds.
type measured struct {
	What            string   `json:"what"`
	Writers         int      `json:"writers,omitempty"`
	Batch           int      `json:"events"` // of one call
	EventsPerSecond float64  `json:"events_per_second"`
	Calls           int      `json:"calls,omitempty"` // of all runs
	P50             *float64 `json:"p50_ms,omitempty"`
	P99             *float64 `json:"p99_ms,omitempty"`
}

func medians(of measured, runs []sample) measured {
	var rates, p50, p99 []float64
	for _, s := range runs {
		rates = append(rates, float64(s.events)/s.took.Seconds())
		if len(s.calls) == 0 {
			continue
		}
		of.Calls += len(s.calls)
		slices.Sort(s.calls)
		p50, p99 = append(p50, quantile(s.calls, 50)), append(p99, quantile(s.calls, 99))
	}
	of.EventsPerSecond = median(rates)
	if len(p50) > 0 {
		half, most := median(p50), median(p99)
		of.P50, of.P99 = &half, &most
	}
	return of
}

// quantile returns the lowest of the sorted times that so many percent are not above, in milliseconds.
func quantile(sorted []time.Duration, percent int) float64 {
	rank := (len(sorted)*percent + 99) / 100
	return float64(sorted[max(rank, 1)-1]) / float64(time.Millisecond)
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// environment is where the figures are from.
type environment struct {
	Cores    int       `json:"cores"`
	Platform string    `json:"platform"`
	Go       string    `json:"go"`
	At       time.Time `json:"at"`
}

// benchResult is the JSON form.
type benchResult struct {
	Store        about       `json:"store"`
	Machine      environment `json:"machine"`
	Runs         int         `json:"runs"`
	Seconds      float64     `json:"seconds"` // of each run
	PayloadBytes int         `json:"payload_bytes"`
	Measured     []measured  `json:"measured"`
}

func (b *bench) print(out io.Writer, at *place, all []measured) error {
	machine := environment{runtime.GOMAXPROCS(0), runtime.GOOS + "/" + runtime.GOARCH, runtime.Version(), time.Now().UTC().Truncate(time.Second)}
	if b.form == cli.JSON {
		return cli.PrintJSON(out, benchResult{at.about, machine, b.runs, b.during.Seconds(), payloadBytes, all})
	}
	var rows []cli.Row
	for _, m := range all {
		row := cli.Row{m.name(), cli.Thousands(int64(m.EventsPerSecond)), "", ""}
		if m.P50 != nil {
			row[2], row[3] = fmt.Sprintf("%.2f", *m.P50), fmt.Sprintf("%.2f", *m.P99)
		}
		rows = append(rows, row)
	}
	title := strings.TrimSuffix(fmt.Sprintf("%s %s", at.about.Kind, at.about.Version), " ") + ", in " + at.about.Where + settings(at.about.Settings)
	cli.NewPrinter(out).Table(title, 1, cli.Row{"what", "events/s", "p50 ms", "p99 ms"}, rows)
	_, err := fmt.Fprintf(out, "\nMedians of %s of %v; payloads of %d bytes; one process on %s (%s, %s).\n",
		plural(b.runs, "run"), b.during, payloadBytes, plural(machine.Cores, "core"), machine.Platform, machine.Go)
	if at.sink == nil && err == nil {
		_, err = fmt.Fprintln(out, "No projection was measured: a store of this kind keeps no read models.")
	}
	return err
}

func settings(of map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&text, ", %s %s", name, of[name])
	}
	return text.String()
}
