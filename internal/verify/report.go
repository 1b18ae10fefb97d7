package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// report is what a run ends with.
type report struct {
	stages []outcome
	tests  counts
}

// passed reports whether everything ran and nothing failed. Strict: no test was skipped.
func (r report) passed(strict bool) bool {
	for _, s := range r.stages {
		if s.err != nil {
			return false
		}
	}
	return r.tests.failed == 0 && (!strict || len(r.tests.skipped) == 0)
}

// print ends with a line of counts that programs read.
func (r report) print(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nSTAGE\tRESULT\tTIME\t")
	for _, s := range r.stages {
		result, detail := s.result()
		_, _ = fmt.Fprintf(table, "%s\t%s\t%v\t%s\n", s.name, result, s.took.Round(100*time.Millisecond), detail)
	}
	for _, s := range r.tests.skipped {
		_, _ = fmt.Fprintf(table, "%s\tnot run\t\t%s\n", s.test, s.reason)
	}
	_ = table.Flush()
	_, _ = fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", r.tests.passed, r.tests.failed, len(r.tests.skipped))
}

func (o outcome) result() (word, detail string) {
	var notRun missing
	switch {
	case o.err == nil:
		return "ran", o.detail
	case errors.As(o.err, &notRun):
		return "not run", notRun.Error()
	case o.detail != "":
		return "FAILED", o.err.Error() + "; " + o.detail
	default:
		return "FAILED", o.err.Error()
	}
}
