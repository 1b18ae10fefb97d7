package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stage is one check. Its run writes everything to the log and returns a few words
// for the table.
type stage struct {
	name  string
	limit time.Duration
	run   func(ctx context.Context, log io.Writer) (detail string, err error)
}

// outcome is a line of the table.
type outcome struct {
	name   string
	took   time.Duration
	detail string
	err    error
}

// missing is the error of a stage that could not run on this machine.
type missing string

func (m missing) Error() string { return string(m) }

// findings is an error that shows what to look at by itself, in place of the log's end.
type findings struct {
	summary, text string
}

func (f *findings) Error() string { return f.summary }

// do runs the stage and shows what went wrong; the rest goes to its log file.
func (s stage) do(ctx context.Context, out io.Writer) outcome {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("took more than %v", s.limit))
	defer cancel()
	began := time.Now()
	done := outcome{name: s.name}

	log, err := os.Create(s.logFile())
	if err != nil {
		done.err = err
		return done
	}
	done.detail, done.err = s.run(ctx, log)
	done.took = time.Since(began)
	if ctx.Err() != nil && done.err != nil {
		done.err = context.Cause(ctx)
	}
	if err := log.Close(); err != nil && done.err == nil {
		done.err = err
	}

	var shown *findings
	var notRun missing
	switch {
	case errors.As(done.err, &shown):
		_, _ = fmt.Fprintln(out, shown.text)
	case done.err != nil && !errors.As(done.err, &notRun):
		_, _ = fmt.Fprintln(out, lastLines(s.logFile(), 100))
	}
	return done
}

// beside runs stages, one after the other, while others run. Who waits for them gets their outcomes, and
// is shown what went wrong.
func beside(ctx context.Context, stages []stage) (wait func(out io.Writer) []outcome) {
	var shown bytes.Buffer
	ended := make(chan []outcome)
	go func() {
		var all []outcome
		for _, s := range stages {
			all = append(all, s.do(ctx, &shown))
		}
		ended <- all
	}()
	return func(out io.Writer) []outcome {
		all := <-ended
		_, _ = shown.WriteTo(out)
		return all
	}
}

func (s stage) logFile() string {
	word := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	return filepath.Join(logs, strings.Map(word, s.name)+".log")
}

// command is a stage that is one command, run from the root of the module.
func command(name string, args ...string) program { return program{name: name, args: args} }

type program struct {
	name string
	args []string
	dir  string
	env  []string
}

func (p program) run(ctx context.Context, log io.Writer) (string, error) {
	_, _ = fmt.Fprintf(log, "$ %s %s %s\n", strings.Join(p.env, " "), p.name, strings.Join(p.args, " "))
	return "", p.cmd(ctx, log, log).Run()
}

func (p program) cmd(ctx context.Context, stdout, stderr io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.name, p.args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	endWithChildren(cmd)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// formatted fails if gofmt -s would change a file.
func formatted(ctx context.Context, log io.Writer) (string, error) {
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	var files bytes.Buffer
	gofmt := command(filepath.Join(strings.TrimSpace(string(goroot)), "bin", "gofmt"), "-s", "-l", ".")
	if err := gofmt.cmd(ctx, io.MultiWriter(&files, log), log).Run(); err != nil {
		return "", err
	}
	if files.Len() > 0 {
		return "", &findings{"some files are not formatted: make fmt", files.String()}
	}
	return "", nil
}

func lastLines(file string, n int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) <= n {
		return strings.Join(lines, "\n")
	}
	return fmt.Sprintf("[the last %d lines of %s]\n%s", n, file, strings.Join(lines[len(lines)-n:], "\n"))
}
