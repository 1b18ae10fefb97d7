package npm_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest/npm"
)

func TestWhatIsInstalledMustBeWhatTheLockSays(t *testing.T) {
	t.Parallel()
	const wanted = `{"packages": {
		"": {"version": "1.0.0"},
		"node_modules/a": {"version": "1.0.0", "integrity": "sha512-aaa"},
		"node_modules/for-another-machine": {"version": "2.0.0", "integrity": "sha512-bbb", "optional": true}}}`
	for name, c := range map[string]struct {
		installed string // "": nothing
		ok        bool
	}{
		"nothing":          {"", false},
		"the same":         {`{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-aaa"}}}`, true},
		"another version":  {`{"packages": {"node_modules/a": {"version": "1.0.1", "integrity": "sha512-aaa"}}}`, false},
		"other bytes":      {`{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-ccc"}}}`, false},
		"less":             {`{"packages": {}}`, false},
		"no list":          {`half of a fi`, false},
		"another optional": {`{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-aaa"}, "node_modules/for-another-machine": {"version": "1.0.0"}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, "package-lock.json"), []byte(wanted), 0o600))
			if c.installed != "" {
				require.NoError(t, os.Mkdir(filepath.Join(folder, "node_modules"), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(folder, "node_modules", ".package-lock.json"), []byte(c.installed), 0o600))
			}
			err := npm.Check(folder)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, npm.ErrUnavailable)
			assert.ErrorContains(t, err, npm.Install)
		})
	}
}

// A range would be another program tomorrow; an address in the lock, a registry that not
// everybody can reach.
func TestVersionsAreExactAndTheLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	var ours struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	text, err := os.ReadFile("package.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &ours))
	require.NotEmpty(t, ours.Dependencies)
	for name, version := range ours.Dependencies {
		assert.Regexp(t, `^\d+\.\d+\.\d+(-\w+)?$`, version, name)
	}
	lock, err := os.ReadFile("package-lock.json")
	require.NoError(t, err)
	assert.NotContains(t, string(lock), `"resolved"`)
	assert.NotContains(t, string(lock), "http://")
}
