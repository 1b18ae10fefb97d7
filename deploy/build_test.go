//go:build linux

package deploy_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The machines of our tests have no engine that builds images. So the commands of the Dockerfile that build are run
// as they stand there, with the variables that it sets, and what they build is looked at and run.
func TestTheCommandsOfTheImageBuildWhatRunsInIt(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	built, err := build(t, instructions(string(text)))
	require.NoError(t, err)
	require.Len(t, built, 2)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for _, path := range built {
		require.NoError(t, fitsImage(path))
		out, err := exec.CommandContext(t.Context(), path, server.URL).CombinedOutput() // both are the health check here
		require.NoError(t, err, "%s", out)
	}
	built, err = build(t, instructions(strings.Replace(string(text), "-trimpath ", "", 1)))
	require.NoError(t, err)
	require.ErrorContains(t, fitsImage(built[0]), "where it was built", "the planted mistake was not found")
}

// build runs the go builds of a Dockerfile for this machine, with the smallest program as PROGRAM, and returns where
// what they built is.
func build(t testing.TB, all []string) (built []string, err error) {
	env := append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "PROGRAM=./deploy/health")
	out := t.TempDir()
	for _, line := range all {
		name, rest, _ := strings.Cut(line, " ")
		switch {
		case name == "ENV":
			env = append(env, variablesOf(rest)...)
		case name == "RUN" && strings.Contains(rest, "go build"):
			command := exec.CommandContext(t.Context(), "sh", "-eu", "-c", strings.ReplaceAll(rest, "/out/", out+"/"))
			command.Dir, command.Env = "..", env
			if text, err := command.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%s: %w: %s", rest, err, text)
			}
		}
	}
	return filepath.Glob(filepath.Join(out, "*"))
}

// variablesOf returns those of an ENV instruction: words of name=value, of which a value may stand in quotes.
func variablesOf(text string) (all []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, _ := strings.Cut(text, "=")
		value, after, quoted := strings.Cut(strings.TrimPrefix(rest, `"`), `"`)
		if !strings.HasPrefix(rest, `"`) || !quoted {
			value, after, _ = strings.Cut(rest, " ")
		}
		all, text = append(all, name+"="+value), after
	}
	return all
}

// fitsImage returns an error unless the program needs nothing of a system, and does not say where it was built.
func fitsImage(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it needs a loader: it is not static")
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	here, err := filepath.Abs("..")
	if err == nil && bytes.Contains(text, []byte(here+"/deploy/health")) {
		err = errors.New("it says where it was built")
	}
	return err
}
