//go:build unix

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The services are started, fed and asked as the README does it. Only the addresses are others.
func TestTortureTheREADMEIsTrue(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := regexp.MustCompile(`localhost:808\d`).ReplaceAllStringFunc(string(readme), addresses(t))
	p := &processes{args: map[string][]string{}, running: map[string]*exec.Cmd{}}
	dir := t.TempDir()
	gateway := ""
	for _, line := range regexp.MustCompile(`(?m)^go run ./examples/shop (.*)$`).FindAllStringSubmatch(text, -1) {
		args := strings.Fields(line[1])
		p.args[args[0]] = append(args, "--dir", dir)
		p.start(t, args[0])
		if args[0] == "gateway" {
			gateway = args[2]
		}
	}
	require.Len(t, p.running, 5)
	for _, line := range regexp.MustCompile(`(?m)^    go run ./examples/shop (feed .*|books)$`).FindAllStringSubmatch(text, -1) {
		args := append(strings.Fields(line[1]), "--dir", dir)
		if args[0] == "feed" {
			args = append(args, "--gateway", "http://"+gateway, "--orders", "5")
		}
		c := exec.CommandContext(t.Context(), os.Args[0], args...)
		c.Env = append(os.Environ(), runInstead+"=1")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		if args[0] == "books" {
			require.Contains(t, string(out), `"placed": 5`)
		}
	}
	asked := regexp.MustCompile(`curl "(.*/orders/.*)"`).FindStringSubmatch(text)[1]
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+asked, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var answer struct{ Composition, View map[string]any }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(t, answer.Composition, answer.View)
	require.Equal(t, "fulfilled", answer.View["status"])
	p.stop(t)
	for _, linked := range regexp.MustCompile(`\]\((services/[^)]+)\)`).FindAllStringSubmatch(text, -1) {
		require.DirExists(t, filepath.Dir(linked[1]))
	}
}

// addresses returns another free address for each one that is written.
func addresses(t *testing.T) func(written string) string {
	t.Helper()
	all := map[string]string{}
	return func(written string) string {
		if all[written] == "" {
			listener, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			all[written] = listener.Addr().String()
		}
		return all[written]
	}
}
