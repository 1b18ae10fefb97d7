package importcmd

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/projection"
)

// refuses checks that a run failed as a user may expect: with an exit code, nothing on
// stdout, and words in place of a stack.
func (r ran) refuses(t *testing.T, code int, says ...string) {
	t.Helper()
	assert.Equal(t, code, r.code, r.stderr)
	assert.Empty(t, r.stdout)
	for _, words := range says {
		assert.Contains(t, r.stderr, words)
	}
	for _, trace := range []string{"goroutine ", "panic", ".go:"} {
		assert.NotContains(t, r.stderr, trace)
	}
}

func TestAWrongCommandLineIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an unknown verb":          {[]string{"dance"}, `unknown command "dance"`},
		"an unknown flag":          {[]string{"import", "--fast"}, "unknown flag: --fast"},
		"a flag without its value": {[]string{"import", "--dir"}, "flag needs an argument: --dir"},
		"an unknown output format": {[]string{"import", "-o", "xml"}, `unknown output format "xml": want table or json`},
		"a stray argument":         {[]string{"import", "orders.csv"}, `unexpected argument "orders.csv"; give files with --data`},
	} {
		t.Run(name, func(t *testing.T) {
			shop(t.Context(), c.args...).refuses(t, cli.ExitUsage, c.says, "--help' to see what there is")
		})
	}
}

func TestAFileThatCannotBeImportedIsExplained(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.csv")
	folder := t.TempDir()
	binary := raw(t, "\x7fELF\x02\x01\x01\x00"+strings.Repeat("\x00\xff", 1<<20))
	for name, c := range map[string]struct {
		file string
		says []string
	}{
		"a missing file":         {missing, []string{missing, "no such file", "give --data the path of a CSV file"}},
		"a directory":            {folder, []string{folder, "is a directory", "give --data the path of a CSV file"}},
		"another header":         {raw(t, "id,name\n1,x\n"), []string{`the first line is "id,name"`, "want " + retail.Header, "give another file with --data"}},
		"no header":              {raw(t, bought+"\n"), []string{"the first line is", "want " + retail.Header}},
		"a binary file":          {binary, []string{`the first line is "\x7fELF`, "want " + retail.Header}},
		"a file without an end":  {"/dev/zero", []string{"/dev/zero", "the first line is", "want " + retail.Header}},
		"a name that is nothing": {"", []string{"no such file", "give --data the path"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "import")
			shop(t.Context(), importArgs(dir, c.file)...).refuses(t, cli.ExitFailed, c.says...)
			assert.NoDirExists(t, dir, "nothing is begun")
		})
	}
}

func TestATypoInTheLastFileIsFoundBeforeTheFirstIsImported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "import")
	shop(t.Context(), importArgs(dir, file(t, bought), "oders.csv")...).refuses(t, cli.ExitFailed, "oders.csv")
	assert.NoDirExists(t, dir)
}

func TestAFileWithNothingInItIsNotedAndFine(t *testing.T) {
	for content, note := range map[string]string{
		"":                     "is empty: there was nothing to import",
		retail.Header:          "has no rows: there was nothing to import",
		retail.Header + "\n\n": "has no rows: there was nothing to import",
	} {
		r := shop(t.Context(), importArgs(t.TempDir(), raw(t, content))...)
		assert.Equal(t, cli.ExitOK, r.code, r.stderr)
		assert.Contains(t, r.stderr, note)
		s := r.summary(t)
		assert.Equal(t, [2]int64{0, 0}, [2]int64{int64(s.Rows), s.Events})
	}
}

func TestAnEmptyFileStillTellsWhatTheShopHas(t *testing.T) {
	dir := t.TempDir()
	checked(t, dir, file(t, bought))
	assert.EqualValues(t, 1000, checked(t, dir, raw(t, "")).GrossPence)
}

func TestQuotesThatNeverCloseCostOneRowAndTheExitCode(t *testing.T) {
	broken := `2,A,"lamp,5,01/12/2010 08:26,2.00,7,France`
	rows := append([]string{bought, broken}, strings.Split(strings.Repeat(strings.Replace(bought, "1,", "3,", 1)+"\n", 30), "\n")[:30]...)
	dir := t.TempDir()
	r := shop(t.Context(), importArgs(dir, file(t, rows...))...)
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "line 3:")
	assert.Contains(t, r.stderr, "correct the quotes and import the file again")
	s := r.summary(t)
	assert.Equal(t, [3]int{32, 31, 1}, [3]int{s.Rows, s.AcceptedRows, s.RejectedRows}, "all other rows are imported")
	assert.Equal(t, 1, s.Rejections[retail.Malformed])
	assert.Equal(t, 3, s.Rejected[0].Line)

	rows[1] = strings.Replace(broken, `"`, "", 1)
	s = checked(t, dir, file(t, rows...))
	assert.Equal(t, 1, s.EventsAppended, "the corrected file is imported again: only that row is new")
}

func TestAPlaceThatCannotHoldTheShopIsExplained(t *testing.T) {
	taken := raw(t, "a file")
	for name, c := range map[string]struct{ dir, says string }{
		"a file":          {taken, "cannot use the directory " + taken},
		"below a file":    {filepath.Join(taken, "import"), "not a directory"},
		"below /proc":     {"/proc/leftfold/demo", "cannot use the directory /proc/leftfold/demo"},
		"/proc itself":    {"/proc", "/proc"},
		"an empty --dir":  {"", "cannot use the directory"},
		"a name too long": {strings.Repeat("x", 300), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			shop(t.Context(), importArgs(c.dir, file(t, bought))...).refuses(t, cli.ExitFailed, c.says, "--dir")
		})
	}
	content, err := os.ReadFile(taken)
	require.NoError(t, err)
	assert.Equal(t, "a file", string(content))
}

// damage changes the bytes of a shop's file.
type damage func(content []byte) []byte

func overwrite(from, to int, with byte) damage {
	return func(content []byte) []byte {
		copy(content[from:to], bytes.Repeat([]byte{with}, to-from))
		return content
	}
}

func cutAt(size int) damage { return func(content []byte) []byte { return content[:size] } }

// shopFile returns the bytes of a shop that holds the orders.
func shopFile(t *testing.T, orders string) []byte {
	t.Helper()
	dir := t.TempDir()
	checked(t, dir, orders)
	assert.NoFileExists(t, filepath.Join(dir, "shop.db-wal"), "all is in the file once it is closed")
	content, err := os.ReadFile(filepath.Join(dir, "shop.db"))
	require.NoError(t, err)
	return content
}

// placed puts content where the import keeps its shop.
func placed(t *testing.T, content []byte) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "shop.db")
	require.NoError(t, os.WriteFile(path, content, 0o644))
	return dir, path
}

func TestAFileThatIsNoShopIsLeftAsItIs(t *testing.T) {
	orders := file(t, bought)
	whole := shopFile(t, orders)
	for name, c := range map[string]struct {
		damage damage
		says   string
	}{
		"garbage":                         {func([]byte) []byte { return []byte(strings.Repeat("garbage ", 1000)) }, "not an SQLite database"},
		"a text":                          {func([]byte) []byte { return []byte("my shopping list") }, "not an SQLite database"},
		"its first bytes overwritten":     {overwrite(0, 16, 0xff), "not an SQLite database"},
		"its page size overwritten":       {overwrite(16, 18, 0xff), "not an SQLite database"},
		"the database of another program": {overwrite(68, 72, 'x'), "is the SQLite database of another program"},
		"one of a newer release":          {overwrite(60, 64, 1), "upgrade the program"},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.damage(bytes.Clone(whole))
			dir, path := placed(t, before)
			shop(t.Context(), importArgs(dir, orders)...).refuses(t, cli.ExitFailed, path, c.says, "--dir")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(before, after), "the file was changed")
			others, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Len(t, others, 1, "something was put beside it")
		})
	}
}

// A page of SQLite has no checksum, and some are never read. So damage is either found
// and explained, or the figures are right.
func TestTortureADamagedFileIsFoundOrDoesNotMatter(t *testing.T) {
	orders, want := firstRows(t, 1500)
	whole := shopFile(t, orders)
	const page = 4096
	pages := len(whole) / page
	require.Greater(t, pages, 50)

	damages := map[string]damage{
		"cut in half":            cutAt(len(whole) / 2),
		"cut in half of a page":  cutAt(len(whole)/2 + page/2),
		"cut after the header":   cutAt(100),
		"its schema overwritten": overwrite(100, page, 0xff),
	}
	for n := 1; n <= 8; n++ {
		at := n * pages / 9 * page
		damages["overwritten from "+cli.Thousands(at)] = overwrite(at, at+page, 0xff)
		damages["zeroed from "+cli.Thousands(at)] = overwrite(at, at+page, 0)
	}
	found := 0
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir, path := placed(t, damage(bytes.Clone(whole)))
			r := finish(process(t, importArgs(dir, orders)...))
			if r.code == cli.ExitOK {
				require.NoError(t, r.summary(t).agrees(want))
				return
			}
			found++
			r.refuses(t, cli.ExitFailed, path, "restore a backup")
		})
	}
	assert.Greater(t, found, len(damages)/2, "the damage did not hit what is read")
}

// plant appends an event that no build knows, as a newer one would.
func plant(t *testing.T, dir string, stream eventstore.StreamID) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "shop.db"), sqlite.Options{})
	require.NoError(t, err)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: stream, Events: []eventstore.EventData{{Type: "order.gift_wrapped", Data: []byte("{}")}}},
	}})
	require.NoError(t, err)
	require.NoError(t, store.Close(t.Context()))
}

func TestAnEventOfAnUnknownTypeIsNamed(t *testing.T) {
	for name, stream := range map[string]eventstore.StreamID{
		"in an order that is imported":   "order-536365",
		"in a stream that nobody loads":  "gift-1",
		"in an order that is not loaded": "order-999999",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			orders, _ := firstRows(t, 30)
			plant(t, dir, stream)
			for _, format := range []string{"json", "table"} { // with --check or without
				shop(t.Context(), "import", "-o", format, "--dir", dir, "--data", orders).
					refuses(t, cli.ExitFailed, "order.gift_wrapped", "position 1 ", string(stream), "deploy the newer version")
			}
		})
	}
}

// locked holds the write lock of a shop's file during do, as another process would.
func locked(t *testing.T, dir string, do func()) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "shop.db"), sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(t.Context())
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	sink := store.Sink()
	model := projection.Model{Generation: projection.Generation{Name: "holds_the_lock", Version: 1}, Hash: "1"}
	require.NoError(t, sink.Open(t.Context(), model, head.Identity))
	at, err := sink.Checkpoint(t.Context(), model.Generation, head.Store)
	require.NoError(t, err)
	err = sink.Transact(t.Context(), model.Generation, projection.Move{From: at, To: at}, func(context.Context, *sql.Tx) error {
		do()
		return nil
	})
	require.NoError(t, err)
}

func TestTortureAFileThatAnotherProcessKeepsLockedIsExplained(t *testing.T) {
	dir := t.TempDir()
	checked(t, dir, file(t, bought))
	locked(t, dir, func() {
		shop(t.Context(), importArgs(dir, file(t, returned))...).
			refuses(t, cli.ExitFailed, "locked by another process", "shop.db", "try again")
	})
	assert.Equal(t, 1, checked(t, dir, file(t, returned)).AcceptedRows, "afterwards it goes on")
}
