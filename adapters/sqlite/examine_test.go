package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/checkup"
)

// examined returns the findings by their checks, and holds Examine to changing nothing.
func examined(t *testing.T, path string) map[string]checkup.Finding {
	t.Helper()
	before, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	all := map[string]checkup.Finding{}
	for _, f := range Examine(t.Context(), path) {
		all[f.Check] = f
		assert.Equal(t, f.Level == checkup.OK, f.Advice == "", "%+v: what to do is told, if anything is to be done", f)
	}
	after, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, after, len(before), "something was put beside it")
	return all
}

func finds(t *testing.T, found checkup.Finding, level checkup.Level, says string) {
	t.Helper()
	assert.Equal(t, level, found.Level, "%+v", found)
	assert.Contains(t, found.Says, says)
}

// aStore makes a file with 100 events.
func aStore(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "shop.db")
	store, err := Open(t.Context(), path, Options{})
	require.NoError(t, err)
	for range 100 {
		_, err := store.Append(t.Context(), placed("order-1", string(make([]byte, 4096))))
		require.NoError(t, err)
	}
	require.NoError(t, store.Close(context.Background()))
	return path
}

func TestAFileIsExaminedWithoutATrace(t *testing.T) {
	t.Parallel()
	path := aStore(t)
	for check, f := range examined(t, path) {
		if check != "free disk" { // this machine's
			assert.Equal(t, checkup.OK, f.Level, "%s: %s", check, f.Says)
		}
	}
	require.NoError(t, os.Chmod(path, 0o666))
	finds(t, examined(t, path)["permissions"], checkup.Warning, "-rw-rw-rw-")
	require.NoError(t, os.WriteFile(path+"-wal", nil, 0o644))
	require.NoError(t, os.Truncate(path+"-wal", 100<<20))
	finds(t, examineFile(path)[1], checkup.Warning, "100 MB")
	require.NoError(t, os.Remove(path+"-wal"))

	store, err := Open(t.Context(), path, Options{}) // another program has it open
	require.NoError(t, err)
	finds(t, examined(t, path)["write-ahead log"], checkup.OK, "at the same moment")
	require.NoError(t, store.Close(context.Background()))

	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	var mode string
	require.NoError(t, db.QueryRow("PRAGMA journal_mode = DELETE").Scan(&mode))
	finds(t, examined(t, path)["journal mode"], checkup.Warning, "it is delete")
	_, err = db.Exec("PRAGMA user_version = 1")
	require.NoError(t, err)
	for range 2 { // it is not brought up to date
		finds(t, examined(t, path)["schema"], checkup.Warning, "it is at schema 1")
	}
	_, err = db.Exec("PRAGMA user_version = 99")
	require.NoError(t, err)
	finds(t, examined(t, path)["contents"], checkup.Failed, "upgrade the program")
	require.NoError(t, db.Close())
}

func TestADamagedFileIsFound(t *testing.T) {
	t.Parallel()
	path := aStore(t)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged := bytes.Clone(content)
	for at := len(content) / 4096 / 3 * 4096; at < len(content)/2; at++ {
		damaged[at] = 0xff
	}
	require.NoError(t, os.WriteFile(path, damaged, 0o644))
	assert.Equal(t, checkup.Failed, checkup.Worst(Examine(t.Context(), path)), "%v", Examine(t.Context(), path))
	finds(t, examined(t, path)["integrity"], checkup.Failed, "damaged")

	for name, content := range map[string]string{"text": "my shopping list, which is long enough to be no header of SQLite", "empty": ""} {
		other := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(other, []byte(content), 0o644))
		assert.Equal(t, checkup.Failed, examined(t, other)["contents"].Level, name)
	}
	finds(t, examined(t, filepath.Join(t.TempDir(), "nowhere.db"))["file"], checkup.Failed, "no such file")
	finds(t, examined(t, t.TempDir())["file"], checkup.Failed, "is a directory")
}

func TestAConnectionThatDoesNotSyncIsFound(t *testing.T) {
	t.Parallel()
	f := &file{path: aStore(t)}
	look, err := f.lookingPool()
	require.NoError(t, err)
	defer look.close()
	_, err = look.db.Exec("PRAGMA synchronous = NORMAL")
	require.NoError(t, err)
	found := map[string]checkup.Finding{}
	for _, one := range f.examine(t.Context(), look) {
		found[one.Check] = one
	}
	finds(t, found["synchronous"], checkup.Failed, "it is 1")
}
