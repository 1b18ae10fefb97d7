//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// The services are started, fed and asked as the README does it. Only the addresses and the directory
// are others.
func TestTortureTheREADMEIsTrue(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := string(readme)
	p := newProcesses(t, inFiles(t))
	for _, line := range regexp.MustCompile(`(?m)^go run ./examples/shop (.*)$`).FindAllStringSubmatch(text, -1) {
		args := strings.Fields(line[1])
		p.start(t, args[0], args[1:]...)
	}
	require.Len(t, p.running, len(shop.Names))
	for _, line := range regexp.MustCompile(`(?m)^    go run ./examples/shop (.*)$`).FindAllStringSubmatch(text, -1) {
		switch args := strings.Fields(line[1]); args[0] {
		case "all", "import", "work": // they have tests of their own
		case "feed":
			p.run(t, append(args, "--gateway", p.url("gateway"), "--orders", "5")...)
		case "books":
			require.Contains(t, p.run(t, append(args, p.store...)...), "5 placed: ")
		default:
			p.run(t, append(args, p.store...)...)
		}
	}
	asked := regexp.MustCompile(`curl "localhost:8080(/orders/.*)"`).FindStringSubmatch(text)[1]
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url("gateway")+asked, nil)
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
