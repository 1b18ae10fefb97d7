package storecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

func exported(t *testing.T, store, file string) string {
	t.Helper()
	r := leftfold(t.Context(), "export", file, "--store", store)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}

func TestAnExportGoesThroughPostgresAndBackAndIsTheSameFile(t *testing.T) {
	t.Parallel()
	source, _ := sqliteStore(t)
	dir := t.TempDir()
	first := exported(t, source, filepath.Join(dir, "first.jsonl"))

	pool := postgrestest.Pool(t)
	there := pool.Config().ConnString()
	r := leftfold(t.Context(), "import", filepath.Join(dir, "first.jsonl"), "--store", there, "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var done struct{ Events int64 }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &done))
	assert.EqualValues(t, 7, done.Events)
	exported(t, there, filepath.Join(dir, "second.jsonl.zst"))

	back := "sqlite:" + filepath.Join(dir, "back.db")
	r = leftfold(t.Context(), "import", filepath.Join(dir, "second.jsonl.zst"), "--store", back)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Equal(t, first, exported(t, back, filepath.Join(dir, "third.jsonl")))

	r = leftfold(t.Context(), "export", filepath.Join(dir, "first.jsonl"), "--store", back)
	assert.Contains(t, r.stderr, "there is a file "+filepath.Join(dir, "first.jsonl")+" already")
}

func TestAnImportThatHasEndedIsToldSo(t *testing.T) {
	t.Parallel()
	source, _ := sqliteStore(t)
	dir := t.TempDir()
	file, back := filepath.Join(dir, "log.jsonl"), "sqlite:"+filepath.Join(dir, "back.db")
	text := exported(t, source, file)
	for _, says := range []string{"Imported 7 events", "It has been imported already: compared 7 events"} {
		r := leftfold(t.Context(), "import", file, "--store", back)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		assert.Contains(t, r.stdout, says)
	}
	other, _ := sqliteStore(t)
	r := leftfold(t.Context(), "import", file, "--store", other)
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "store is not empty")
	assert.Equal(t, text, exported(t, back, filepath.Join(dir, "again.jsonl")))
}

func TestAnImportFromStandardInputThatIsCutOffSaysWhatToDo(t *testing.T) {
	t.Parallel()
	source, _ := sqliteStore(t)
	text, into := exported(t, source, filepath.Join(t.TempDir(), "log.jsonl")), "sqlite:"+filepath.Join(t.TempDir(), "into.db")
	r := leftfoldReading(t.Context(), text[:len(text)/2], "import", "-", "--store", into)
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "the file was cut off in this line; nobody can append to the store until its import has ended: run it again, with the whole file")
	r = leftfoldReading(t.Context(), text, "import", "-", "--store", into)
	assert.Equal(t, cli.ExitOK, r.code, r.stderr)
}

// Two run at the same time, as where cron starts the next before the last has ended.
func TestTwoExportsToOneNameDoNotSpoilTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "shop.jsonl")
	second := writeFile(name, nil, func(w io.Writer) error {
		first := writeFile(name, nil, func(w io.Writer) error {
			_, err := io.WriteString(w, "first")
			return err
		})
		require.NoError(t, first)
		_, err := io.WriteString(w, "the second")
		return err
	})
	require.ErrorContains(t, second, "there is a file "+name+" already")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "first", string(text))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestAFileThatCannotBeReadIsNotTakenForAnotherOne(t *testing.T) {
	t.Parallel()
	spoilt := filepath.Join(t.TempDir(), "spoilt.zst")
	require.NoError(t, os.WriteFile(spoilt, []byte(zstdMagic+"spoilt"), 0o600))
	for file, says := range map[string]string{t.TempDir(): "is a directory", spoilt: "verify " + spoilt} {
		r := leftfold(t.Context(), "backup", "verify", file)
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Contains(t, r.stderr, says)
		assert.NotContains(t, r.stderr, "not an export")
	}
}

func TestATamperedFileIsRefusedWithItsLineAndNothingIsImported(t *testing.T) {
	t.Parallel()
	source, _ := sqliteStore(t)
	dir := t.TempDir()
	content := exported(t, source, filepath.Join(dir, "log.jsonl"))
	for name, changed := range map[string]struct{ content, says string }{
		"changed": {strings.Replace(content, "order-42", "order-99", 1), "line 3: its sum is wrong"},
		"cut off": {content[:len(content)/2], "line 5: the file was cut off in this line"},

		"compressed and cut off": {compressedAndCut(t, content), "the file was cut off in this line"},
	} {
		file, target := filepath.Join(dir, name), filepath.Join(dir, name+".db")
		require.NoError(t, os.WriteFile(file, []byte(changed.content), 0o600))
		for _, args := range [][]string{{"import", file, "--store", "sqlite:" + target}, {"backup", "verify", file}} {
			r := leftfold(t.Context(), args...)
			assert.Equal(t, cli.ExitFailed, r.code, name)
			assert.Contains(t, r.stderr, changed.says)
		}
		assert.NoFileExists(t, target)
	}
	r := leftfold(t.Context(), "backup", "verify", filepath.Join(dir, "log.jsonl"), "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Contains(t, r.stdout, `"events": 7`)
}

// compressedAndCut is the first half of a text that was compressed.
func compressedAndCut(t *testing.T, content string) string {
	t.Helper()
	var all bytes.Buffer
	require.NoError(t, compressed(zstdEnding, &all, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}))
	return all.String()[:all.Len()/2]
}

func TestStreamsAndEventsAreShown(t *testing.T) {
	t.Parallel()
	store, _ := sqliteStore(t)
	show := func(args ...string) string {
		r := leftfold(t.Context(), append(args, "--store", store)...)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		return r.stdout
	}
	var page streamsPage
	require.NoError(t, json.Unmarshal([]byte(show("streams", "--prefix", "order-", "--limit", "2", "-o", "json")), &page))
	require.Len(t, page.Streams, 2)
	assert.Equal(t, eventstore.StreamID("order-42"), page.Streams[1].Stream)
	require.Equal(t, eventstore.Position(2), page.Next)
	assert.Contains(t, show("streams", "--prefix", "order-", "--after", "2"), "order-43")
	assert.Contains(t, show("streams", "--limit", "1"), "more: --after 1")

	assert.Equal(t, 1, strings.Count(show("stream", "show", "order-42", "--backwards", "--limit", "1", "-o", "jsonl"), `"order.confirmed"`))
	assert.Contains(t, show("stream", "show", "order-42"), "order.placed")
	assert.Contains(t, show("stream", "show", "order-42", "--payload"), `"actor": "ada"`)
	assert.Contains(t, show("stream", "show", "note-1", "--payload"), "metadata of another form")
	assert.Equal(t, 3, strings.Count(show("events", "--type", "order.placed", "-o", "jsonl"), "\n"))
	assert.Contains(t, show("events", "--after", "5"), "parcel-3")
	assert.Equal(t, 2, strings.Count(show("tail", "-n", "2"), "\n"))
}

func TestWhatIsAskedWronglyIsSaidInALine(t *testing.T) {
	t.Parallel()
	store, _ := sqliteStore(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"stream"}, cli.ExitUsage, "want a verb: show"},
		{[]string{"stream", "show"}, cli.ExitUsage, "want the name of one stream"},
		{[]string{"stream", "show", "order", "--store", store}, cli.ExitUsage, "want category-id"},
		{[]string{"stream", "show", "order-9", "--store", store}, cli.ExitFailed, "there is no event of order-9"},
		{[]string{"stream", "show", "order-42", "--from", "0", "--store", store}, cli.ExitUsage, "--from starts at 1"},
		{[]string{"events", "--tag", "x", "--store", store}, cli.ExitUsage, "want key:value"},
		{[]string{"events", "--after", "99", "--store", store}, cli.ExitFailed, "ahead of the log"},
		{[]string{"tail", "--after", "1", "-n", "2", "--store", store}, cli.ExitUsage, "say --after or --last, not both"},
		{[]string{"tail", "-o", "json", "--store", store}, cli.ExitUsage, "want table or jsonl"},
		{[]string{"export"}, cli.ExitUsage, "want the name of one file"},
		{[]string{"import", filepath.Join(t.TempDir(), "none"), "--store", store}, cli.ExitFailed, "nothing was imported"},
	} {
		r := leftfold(t.Context(), c.args...)
		assert.Equal(t, c.code, r.code, "%v: %s", c.args, r.stderr)
		assert.Contains(t, r.stderr, c.says, "%v", c.args)
		assert.Empty(t, r.stdout)
	}
}

// lines hands on what is printed, a line at a time.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	l <- string(text)
	return len(text), nil
}

func TestTailFollowsWhatIsAppended(t *testing.T) {
	t.Parallel()
	url, _ := sqliteStore(t)
	file, _ := strings.CutPrefix(url, "sqlite:")
	ctx, stop := context.WithCancel(t.Context())
	out, ended := make(lines), make(chan int, 1)
	go func() { ended <- runTo(ctx, out, "tail", "-f", "-n", "1", "-o", "jsonl", "--store", url) }()
	require.Contains(t, <-out, `"position":7`)

	store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(context.Background())
	for range 2 {
		_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-50", Events: []eventstore.EventData{{Type: "order.placed"}}}}})
		require.NoError(t, err)
	}
	require.Contains(t, <-out, `"position":8`)
	require.Contains(t, <-out, `"position":9`)
	stop()
	assert.Equal(t, cli.ExitOK, <-ended)
}
