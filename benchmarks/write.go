package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leftfold/leftfold/benchmarks/report"
)

// notes is what the numbers include and where they are unfair.
//
//go:embed notes.txt
var notes string

// write rewrites the three files of the results.
func write(dir string, e environment, r *report.Results) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var text, samples, plots bytes.Buffer
	e.write(&text)
	r.WriteText(&text, report.Goals())
	r.WriteBench(&samples, e.CPU)
	figure(e, r).Write(&plots)
	for name, content := range map[string][]byte{
		"results.txt": text.Bytes(), "results.bench.txt": samples.Bytes(), "results.svg": plots.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (e environment) write(w io.Writer) {
	fmt.Fprintf(w, "Leftfold on PostgreSQL, side by side\n\n")
	fmt.Fprintf(w, "  date      %s, took %s\n", e.Began.Format(time.DateOnly), e.Took)
	fmt.Fprintf(w, "  machine   %s, %d cores shared by client and server, %s\n", e.CPU, e.Cores, e.Kernel)
	fmt.Fprintf(w, "  go        %s\n", e.Go)
	fmt.Fprintf(w, "  server    %s\n", e.Postgres)
	fmt.Fprintf(w, "            %s\n", strings.Join(e.Settings, ", "))
	fmt.Fprintf(w, "  versions  %s\n", strings.Join(e.Versions, "\n            "))
	fmt.Fprintf(w, "  rounds    %d, interleaved, %s each; seeds at scale %g\n", e.Options.rounds, e.Options.window, e.Options.scale)
	fmt.Fprintf(w, "\nSystems\n\n%s\n%s", systemsSection(), notes)
}
