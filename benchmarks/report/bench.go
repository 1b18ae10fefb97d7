package report

import (
	"fmt"
	"io"
	"runtime"
	"strings"
)

// WriteBench writes every sample as a line of the Go benchmark format, which benchstat
// reads: each round is one line.
func (r *Results) WriteBench(w io.Writer, cpu string) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/leftfold/leftfold/benchmarks\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, cpu)
	for _, row := range r.Rows {
		name := benchName(row.Workload.Name, row.System)
		for _, s := range row.Samples {
			if s.Ops == 0 {
				continue
			}
			fmt.Fprintf(w, "%s \t%d\t%.0f ns/op\t%.1f %s\t%d p50-ns\t%d p99-ns\n", name, s.Ops,
				float64(s.Elapsed.Nanoseconds())/float64(s.Ops), row.Workload.Unit.rate(s), row.Workload.Unit,
				s.Latency.Quantile(0.5), s.Latency.Quantile(0.99))
		}
	}
	for _, l := range r.Losses {
		fmt.Fprintf(w, "%s \t1\t%d committed\t%d missed\t%d twice\t%d out-of-order\n",
			benchName("loss", l.System), l.Committed, l.Missed, l.Duplicated, l.OutOfOrder)
	}
}

// benchName is "append/writers=64" of "leftfold" as BenchmarkAppend/writers=64/system=leftfold.
func benchName(workload, system string) string {
	return "Benchmark" + strings.ToUpper(workload[:1]) + workload[1:] + "/system=" + strings.NewReplacer(" ", "_", "(", "", ")", "").Replace(system)
}
