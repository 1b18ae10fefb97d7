package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/cli"
)

// The fields of what verbs print for programs are a promise: one may come, none goes or changes its meaning. A change of
// the golden file says which do.
func TestTheFieldsThatProgramsReadStayAsTheyAre(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	both := faces(t)
	for _, name := range []string{"shop", "leftfold"} {
		f := both[name]
		for _, line := range f.lines {
			verb, _, err := f.root().Find(line)
			require.NoError(t, err)
			if verb.Name() == "migrate" {
				line = []string{"migrate", "--store", postgrestest.URL(t), "--dry-run"}
			}
			for _, form := range []string{"json", "jsonl"} {
				if hasForm(verb, form) {
					r := f.run(t.Context(), append(line, "-o", form)...)
					if verb.Name() != "retry" { // whose keys fail again, which the results tell
						require.Equal(t, cli.ExitOK, r.code, "%v: %s", line, r.stderr)
					}
					fmt.Fprintf(&all, "%s -o %s\n", verb.CommandPath(), form)
					for _, field := range fields(t, r.stdout) {
						fmt.Fprintf(&all, "  %s\n", field)
					}
				}
			}
		}
	}
	golden(t, filepath.Join("testdata", "fields.golden"), all.String())
}

// hasForm reports whether a verb has a form of output.
func hasForm(verb *cobra.Command, form string) bool {
	flag := verb.Flags().Lookup("output")
	return flag != nil && flag.Value.Set(form) == nil
}

// fields returns the fields of the objects that are printed, each with the kind of its value.
func fields(t *testing.T, printed string) []string {
	t.Helper()
	found := map[string]bool{}
	for decoder := json.NewDecoder(strings.NewReader(printed)); ; {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, printed)
		collect(found, "", value)
	}
	return slices.Sorted(maps.Keys(found))
}

func collect(found map[string]bool, path string, value any) {
	if strings.HasSuffix(path, ".data") {
		found[path+" as it was recorded"] = true
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			collect(found, path+"."+name, inner)
		}
	case []any:
		found[path+"[]"] = true
		for _, inner := range value {
			collect(found, path+"[]", inner)
		}
	default:
		found[fmt.Sprintf("%s %s", path, kindOf(value))] = true
	}
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case float64:
		return "number"
	case bool:
		return "true or false"
	}
	return "nothing"
}

// golden compares a text with a file, which LEFTFOLD_WRITE_GOLDEN writes.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if os.Getenv("LEFTFOLD_WRITE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "LEFTFOLD_WRITE_GOLDEN=1 writes it")
	assert.Equal(t, string(want), text, "if it shall change: LEFTFOLD_WRITE_GOLDEN=1 go test ./cmd/leftfold, and tell it in CHANGELOG.md")
}
