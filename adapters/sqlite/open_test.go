package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
)

// TestWhatIsNotOursIsNotTouched opens what a mistyped path may lead to.
func TestWhatIsNotOursIsNotTouched(t *testing.T) {
	for name, c := range map[string]struct {
		make   func(t *testing.T, path string)
		want   error
		advice string
	}{
		"a text file":               {makeText("shopping list\n"), sqlite.ErrNotOurs, "choose another path"},
		"a long text file":          {makeText(string(make([]byte, 100_000))), sqlite.ErrNotOurs, "choose another path"},
		"another program's":         {makeSQL("CREATE TABLE t (x)"), sqlite.ErrNotOurs, "another program"},
		"another program's, in WAL": {makeSQL("PRAGMA journal_mode = WAL; CREATE TABLE t (x)"), sqlite.ErrNotOurs, "another program"},
		"another program's, marked": {makeSQL("PRAGMA application_id = 7"), sqlite.ErrNotOurs, "another program"},
		"a directory":               {makeDirectory, sqlite.ErrNotOurs, "leftfold.db"},
		"a newer release's":         {makeNewer, sqlite.ErrNewerSchema, "upgrade the program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			c.make(t, path)
			before := snapshot(t, filepath.Dir(path))
			_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, c.advice)
			require.Equal(t, before, snapshot(t, filepath.Dir(path)), "nothing was altered")
		})
	}
}

func TestAPathThatCannotBeUsedIsRefused(t *testing.T) {
	file := newPath(t)
	makeText("not a directory")(t, file)
	for path, advice := range map[string]string{
		"":                                     "is not the path of a file",
		":memory:":                             "adapters/memory",
		filepath.Join(t.TempDir(), "no", "db"): "create the directory first",
		filepath.Join(file, "db"):              "not a directory",
		"/proc/leftfold.db":                    "this user may write there", // where not even root may
	} {
		_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		require.ErrorIs(t, err, sqlite.ErrCannotOpen, path)
		require.ErrorContains(t, err, advice)
		require.ErrorContains(t, err, path)
	}
}

func TestAPathMayHoldAnyCharacter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "50% off? #1 ü&mode=ro.db")
	store := openStore(t, path)
	_, err := store.Append(t.Context(), request("x/0/0"))
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err)
}

func TestAnEmptyFileBecomesAStore(t *testing.T) {
	path := newPath(t)
	makeText("")(t, path)
	_, err := openStore(t, path).Append(t.Context(), request("x/0/0"))
	require.NoError(t, err)
}

func makeText(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
}

func makeSQL(statements string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), statements)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
}

func makeDirectory(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }

func makeNewer(t *testing.T, path string) {
	require.NoError(t, openStore(t, path).Close(t.Context()))
	makeSQL("PRAGMA user_version = 1000")(t, path)
}

// snapshot returns the content of every file in the directory, by name.
func snapshot(t *testing.T, directory string) map[string]string {
	t.Helper()
	contents := map[string]string{}
	entries, err := os.ReadDir(directory)
	require.NoError(t, err)
	for _, entry := range entries {
		content := []byte("a directory")
		if !entry.IsDir() {
			content, err = os.ReadFile(filepath.Join(directory, entry.Name()))
			require.NoError(t, err)
		}
		contents[entry.Name()] = string(content)
	}
	return contents
}

func TestAStatusPageLearnsWhereTheEventsAre(t *testing.T) {
	path := newPath(t)
	can, err := openStore(t, path).Capabilities(t.Context())
	require.NoError(t, err)
	require.False(t, can.ReadOnly || can.Volatile)
	require.Empty(t, can.Excluded)
	require.Contains(t, can.Notes[0], path)
}
