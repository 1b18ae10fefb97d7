//go:build unix

package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages returns the names of all pages of this directory.
func pages(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".md" {
			all = append(all, name)
		}
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

func TestLinksLeadToSomething(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, to := range link.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(to[1], "://") && !strings.HasPrefix(to[1], "mailto:") {
				_, err := os.Stat(filepath.Join(filepath.Dir(page), to[1]))
				assert.NoError(t, err, page)
			}
		}
	}
}

// Lines of Go that a page shows stand so in the file that it names, which is compiled and tested.
func TestLinesOfGoAreThoseOfTheirFiles(t *testing.T) {
	t.Parallel()
	found := 0
	for _, name := range pages(t) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, b := range blocksOf(string(text)) {
			if b.language != "go" || !strings.HasPrefix(name, "tutorial") && !strings.HasPrefix(name, "how-to") {
				continue
			}
			source, err := os.ReadFile(filepath.Join(root, b.rest))
			require.NoError(t, err, name)
			assert.Contains(t, string(source), b.text, name)
			found++
		}
	}
	require.Positive(t, found)
}

// llms.txt, for programs that read, has the pages of README.md in its order.
func TestLlmsTxtHasTheIndex(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile("README.md")
	require.NoError(t, err)
	want := "# Leftfold\n\n> Event sourcing and CQRS for Go: state is a left fold over events that are kept for ever.\n"
	row := regexp.MustCompile(`^\| \[([^\]]+)\]\(([^)]+)\) \| (.*) \|$`)
	for line := range strings.Lines(string(index)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			want += "\n" + line + "\n\n"
		}
		if cells := row.FindStringSubmatch(line); cells != nil {
			want += "- [" + cells[1] + "](" + filepath.ToSlash(filepath.Join("docs", cells[2])) + "): " + regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`).ReplaceAllString(cells[3], "$1") + "\n"
		}
	}
	file := filepath.Join(root, "llms.txt")
	if os.Getenv("LEFTFOLD_WRITE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	}
	is, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(is), "LEFTFOLD_WRITE_GOLDEN=1 writes it")
}
