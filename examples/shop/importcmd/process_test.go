//go:build unix

package importcmd

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

func TestTortureOrdersMayComeThroughStdin(t *testing.T) {
	orders, want := firstRows(t, 500)
	content, err := os.ReadFile(orders)
	require.NoError(t, err)
	cmd := process(t, importArgs(t.TempDir(), "/dev/stdin")...)
	cmd.Stdin = bytes.NewReader(content) // a pipe
	r := finish(cmd)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.NoError(t, r.summary(t).agrees(want))
}

// pipe makes a named pipe. A run that imports from it stands still where the rows end.
func pipe(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

// awaitEvents waits until the shop in the directory has so many events.
func awaitEvents(t *testing.T, dir string, n eventstore.Position) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "shop.db"), sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(t.Context())
	for at := range n {
		require.NoError(t, eventstore.WaitAppended(t.Context(), store, at))
	}
}

func TestCtrlCStopsTheImportAndTheNextRunGoesOn(t *testing.T) {
	orders, want := firstRows(t, 500)
	content, err := os.ReadFile(orders)
	require.NoError(t, err)
	dir, fifo := t.TempDir(), pipe(t)

	cmd := process(t, importArgs(dir, fifo)...)
	end := begin(cmd)
	rows, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits for the reader
	require.NoError(t, err)
	defer rows.Close()
	_, err = rows.Write(content[:len(content)/2]) // and no more: the run waits for the rest
	require.NoError(t, err)
	awaitEvents(t, dir, 100)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))

	r := end()
	r.refuses(t, cli.ExitInterrupted, "interrupted", "nothing is lost", "run the same command again")
	s := checked(t, dir, orders)
	require.NoError(t, s.agrees(want))
	assert.Positive(t, s.CommandsRepeated, "what was imported stays")
	assert.Positive(t, s.EventsAppended)
}

func TestAnEndedContextStopsTheImportAndTheNextRunGoesOn(t *testing.T) {
	orders, want := firstRows(t, 500)
	dir, fifo := t.TempDir(), pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan ran, 1)
	go func() { ended <- shop(ctx, importArgs(dir, fifo)...) }()

	rows, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer rows.Close()
	whole, err := os.Open(orders)
	require.NoError(t, err)
	defer whole.Close()
	_, err = io.CopyN(rows, whole, 20_000)
	require.NoError(t, err)
	awaitEvents(t, dir, 50)
	cancel()
	(<-ended).refuses(t, cli.ExitInterrupted, "nothing is lost")
	require.NoError(t, checked(t, dir, orders).agrees(want))
}

// asNobody lets the process run as a user who may do nothing. A test that is no root
// is such a user already.
func asNobody(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}

// public lets every user into the test's directories.
func public(t *testing.T, path string) string {
	t.Helper()
	for dir := filepath.Dir(path); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	return path
}

func TestWhatAUserMayNotDoIsExplained(t *testing.T) {
	orders := public(t, file(t, bought))
	secret := public(t, file(t, bought))
	require.NoError(t, os.Chmod(secret, 0))
	mine := public(t, filepath.Join(t.TempDir(), "mine"))
	require.NoError(t, os.Mkdir(mine, 0o755))
	used := public(t, filepath.Join(t.TempDir(), "used"))
	checked(t, used, orders)
	for _, path := range []string{mine, used, filepath.Join(used, "shop.db")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, info.Mode().Perm()&0o555)) // for a test that is no root
		t.Cleanup(func() { _ = os.Chmod(path, 0o755) })
	}

	for name, c := range map[string]struct {
		dir, file string
		says      []string
	}{
		"create a directory there":  {filepath.Join(mine, "new"), orders, []string{"cannot use the directory", "permission denied", "--dir"}},
		"write in the directory":    {mine, orders, []string{mine, "--dir", "this user may write there"}},
		"write to a shop of others": {used, orders, []string{used, "--dir", "write"}},
		"read the orders":           {mine, secret, []string{"cannot read the orders", "permission denied"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := process(t, importArgs(c.dir, c.file)...)
			asNobody(cmd)
			finish(cmd).refuses(t, cli.ExitFailed, c.says...)
		})
	}
}

// Both import the same orders, so they meet at every command, at every step of every
// view, and in the file of the replay.
func TestTortureTwoImportsAtOnceInOneDirectory(t *testing.T) {
	orders, want := firstRows(t, 4000)
	dir := t.TempDir()
	runs := make([]ran, 2)
	var running sync.WaitGroup
	for n := range runs {
		cmd := process(t, importArgs(dir, orders)...)
		running.Go(func() { runs[n] = finish(cmd) })
	}
	running.Wait()
	appended := 0
	for _, r := range runs {
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		s := r.summary(t)
		require.NoError(t, s.agrees(want))
		appended += s.EventsAppended
	}
	assert.Equal(t, want.Rows, appended, "each row was imported by one of them")
	left, err := filepath.Glob(filepath.Join(dir, "replay.db*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// imports does what another process might: it imports rows, and no more.
func imports(t *testing.T, dir string, rows ...string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "shop.db"), sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(t.Context())
	reader, err := retail.NewReader(strings.NewReader(retail.Header + "\n" + strings.Join(rows, "\n")))
	require.NoError(t, err)
	_, err = app.New(store, store.Sink()).Import(t.Context(), reader, func(app.Report) {})
	require.NoError(t, err)
}

func TestALogThatGrowsWhileItIsCheckedIsNotTakenForAWrongOne(t *testing.T) {
	dir, orders := t.TempDir(), file(t, bought)
	var stdout bytes.Buffer
	stderr := &watched{word: "replay: started", seen: func() { imports(t, dir, returned) }}
	assert.Equal(t, cli.ExitFailed, run(t.Context(), importArgs(dir, orders), &stdout, stderr))
	assert.Contains(t, stderr.String(), "the log went from 1 events to 2 while it was checked")
	assert.NotContains(t, stderr.String(), "differ")
	checked(t, dir, orders)
}

func TestAReplayWaitsForItsPlaceNoLongerThanItsContext(t *testing.T) {
	dir, orders := t.TempDir(), file(t, bought)
	other := &verb{dir: dir, stderr: io.Discard}
	place, err := other.reserve(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	stderr := &watched{word: "waiting for another import", seen: cancel}
	assert.Equal(t, cli.ExitInterrupted, run(ctx, importArgs(dir, orders), &stdout, stderr), "%s", stderr)

	require.NoError(t, place.leave())
	checked(t, dir, orders)
}

// watched calls seen when a word is written.
type watched struct {
	bytes.Buffer
	word string
	seen func()
}

func (w *watched) Write(text []byte) (int, error) {
	if strings.Contains(string(text), w.word) {
		w.seen()
	}
	return w.Buffer.Write(text)
}
