package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

const (
	smallDisk   = "LEFTFOLD_POSTGRES_SMALL_DISK" // where the child mounts it
	cannotMount = 77
)

// onASmallDisk runs the test itself in a child that has a file system of its own, which
// nobody else sees, and in which the server runs. The child goes on, with the place of the
// small disk; for the parent the test is over. The child of a user who is not root does not
// become root in its namespace, because Postgres refuses to be root.
func onASmallDisk(t *testing.T, size string) (disk string, small bool) {
	t.Helper()
	if disk := os.Getenv(smallDisk); disk != "" {
		mountSmallDisk(disk, size)
		return disk, true
	}
	newPool(t) // skips, or fails, where there is no Postgres

	place, err := os.MkdirTemp("/tmp", "lf-disk-") //nolint:usetesting // only we may enter what TempDir makes, and the server is somebody else
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(place)) })
	require.NoError(t, os.Chmod(place, 0o755))
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), smallDisk+"="+place)
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		const sysAdmin = 21 // CAP_SYS_ADMIN, to mount
		child.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		child.SysProcAttr.AmbientCaps = []uintptr{sysAdmin}
	}
	output, err := child.CombinedOutput()
	switch {
	case child.ProcessState == nil, child.ProcessState.ExitCode() == cannotMount:
		why := fmt.Sprintf("no file system of our own, neither as root nor in a user namespace: %v\n%s", err, output)
		if os.Getenv("LEFTFOLD_TEST") == "all" {
			t.Fatal(why)
		}
		t.Skip(why)
	default:
		require.NoError(t, err, "%s", output)
		t.Logf("%s", output)
	}
	return "", false
}

func mountSmallDisk(at, size string) {
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+size+",mode=755")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(cannotMount)
	}
}

// The tables are on a disk of their own and fill it; the server's log has room.
func TestADiskThatIsFullRefusesAppendsAndLosesNothing(t *testing.T) {
	t.Parallel()
	disk, small := onASmallDisk(t, "28m")
	if !small {
		return
	}
	server := startServer(t)
	admin := poolOn(t, server.URL("postgres"))
	tables := filepath.Join(disk, "tables")
	require.NoError(t, os.Mkdir(tables, 0o700))
	own(t, tables, dataOf(t, admin))
	for _, statement := range []string{"CREATE TABLESPACE small LOCATION '" + tables + "'", "CREATE DATABASE small TABLESPACE small"} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	pool := poolOn(t, server.URL("small"))
	_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	store := openOn(t, pool, postgres.Options{})
	ballast := ballastOn(t, disk, 8<<20)

	b := newBook()
	b.fill(t.Context(), store, func(err error) bool { return errors.Is(err, postgres.ErrDiskFull) })
	require.Empty(t, b.unexpected, "each refusal says that the disk is full")
	require.Empty(t, b.findings(t, pool), "what was acknowledged is there, what was refused is not")
	require.Greater(t, b.acked(), 50)
	head := headOf(t, store)
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err, "reads go on")
	for _, err := range read.Events() {
		require.NoError(t, err)
		head--
	}
	require.Zero(t, head)

	// The mutant: a client that takes the refusal for an acknowledgement.
	wrong := newBook()
	wrong.fill(t.Context(), overconfident{store}, func(error) bool { return true })
	require.Contains(t, strings.Join(wrong.findings(t, pool), "\n"), "acknowledged, and 0 of its events")

	require.NoError(t, os.Remove(ballast))
	b.retry(t, store)
	require.Empty(t, b.findings(t, pool), "with room again, the store goes on")
	t.Logf("%d appends, %d refusals by a full disk", b.acked(), b.refusals)
}

// The server's log is on a disk of its own and fills it. The server ends itself then, and
// cannot start again before there is room.
func TestAServerWhoseLogHasNoRoomLosesNothing(t *testing.T) {
	t.Parallel()
	disk, small := onASmallDisk(t, "80m")
	if !small {
		return
	}
	server := startServer(t)
	admin := poolOn(t, server.URL("postgres"))
	data := dataOf(t, admin)
	_, err := postgres.Migrate(t.Context(), admin, postgres.MigrateOptions{})
	require.NoError(t, err)
	require.NoError(t, server.StopImmediate(t.Context()))
	moveLog(t, data, filepath.Join(disk, "log"))
	ballast := ballastOn(t, disk, 40<<20) // leaves room for two files of the log
	require.NoError(t, server.Start(t.Context()))
	admin.Reset()
	store := openOn(t, admin, postgres.Options{})
	store.SetPatience(10*time.Second, 100*time.Millisecond, 100*time.Millisecond)

	b := newBook()
	b.fill(t.Context(), store, func(err error) bool {
		return errors.Is(err, postgres.ErrUnavailable) || errors.Is(err, eventstore.ErrOutcomeUnknown)
	})
	require.Empty(t, b.unexpected)
	require.Contains(t, server.Log(), "PANIC", "the fault has happened")
	_, err = store.Head(t.Context())
	require.ErrorIs(t, err, postgres.ErrUnavailable)

	require.NoError(t, server.StopImmediate(t.Context()))
	require.NoError(t, os.Remove(ballast))
	require.NoError(t, server.Start(t.Context()))
	admin.Reset()
	store.SetPatience(time.Minute, time.Minute, time.Minute)
	require.Empty(t, b.findings(t, admin), "what was acknowledged is there, what was refused is not")
	b.retry(t, store)
	require.Empty(t, b.findings(t, admin), "with room again, the store goes on")
	t.Logf("%d appends, %d refusals, %d of unknown outcome", b.acked(), b.refusals, b.unknown)
}

// ballastOn makes a file that is in the way.
func ballastOn(t *testing.T, disk string, size int) string {
	t.Helper()
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, size), 0o600))
	return ballast
}

func dataOf(t *testing.T, pool *pgxpool.Pool) (dir string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SHOW data_directory").Scan(&dir))
	return dir
}

// own gives a file to whom another one belongs.
func own(t *testing.T, file, like string) {
	t.Helper()
	info, err := os.Stat(like)
	require.NoError(t, err)
	is := info.Sys().(*syscall.Stat_t)
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(file, int(is.Uid), int(is.Gid)))
	}
}

// moveLog puts a server's write-ahead log somewhere else.
func moveLog(t *testing.T, data, to string) {
	t.Helper()
	from := filepath.Join(data, "pg_wal")
	output, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NoError(t, os.RemoveAll(from))
	require.NoError(t, os.Symlink(to, from))
}

// overconfident acknowledges what was refused.
type overconfident struct{ *postgres.Store }

func (o overconfident) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, _ := o.Store.Append(ctx, request)
	return receipt, nil
}

// book is what the clients of a store know of their appends.
type book struct {
	mu       sync.Mutex
	outcomes map[string]error // nil: acknowledged
	receipts map[string]eventstore.Receipt
	refusals int
	unknown  int

	unexpected []error
}

func newBook() *book {
	return &book{outcomes: map[string]error{}, receipts: map[string]eventstore.Receipt{}}
}

const (
	diskClients  = 4
	diskRefusals = 3
	diskPayload  = 8 << 10
)

// fill lets clients append until each has been refused a few times, or has appended ever so
// much.
func (b *book) fill(ctx context.Context, store eventstore.Store, expected func(error) bool) {
	var all sync.WaitGroup
	for c := range diskClients {
		all.Go(func() {
			for n, refusals := 0, 0; refusals < diskRefusals && n < 3000; n++ {
				name := fmt.Sprintf("%p/%d/%d", b, c, n)
				receipt, err := store.Append(ctx, large(name))
				b.note(name, receipt, err, err == nil || expected(err))
				if receipt.Token.Position == 0 {
					refusals++
				}
			}
		})
	}
	all.Wait()
}

func (b *book) note(name string, receipt eventstore.Receipt, err error, expected bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !expected {
		b.unexpected = append(b.unexpected, err)
	}
	b.outcomes[name], b.receipts[name] = err, receipt
	switch {
	case errors.Is(err, eventstore.ErrOutcomeUnknown):
		b.unknown++
	case err != nil:
		b.refusals++
	}
}

func (b *book) acked() (count int) {
	for _, err := range b.outcomes {
		if err == nil {
			count++
		}
	}
	return count
}

// retry sends what was refused, or may have been, again.
func (b *book) retry(t *testing.T, store eventstore.Store) {
	t.Helper()
	for name, err := range b.outcomes {
		if err == nil {
			continue
		}
		receipt, err := store.Append(t.Context(), large(name))
		require.NoError(t, err)
		b.note(name, receipt, nil, true)
	}
}

// large is an append of three events of two streams, which does not compress.
func large(name string) eventstore.AppendRequest {
	event := func() eventstore.EventData {
		noise := make([]byte, diskPayload)
		_, _ = rand.Read(noise)
		return eventstore.EventData{Type: "order.changed", Tags: []eventstore.Tag{eventstore.NewTag("append", name)}, Data: noise}
	}
	return eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID(name)},
		Writes: []eventstore.Write{
			{Stream: eventstore.NewStreamID("own", name), Events: []eventstore.EventData{event(), event()}},
			{Stream: "shared-1", Events: []eventstore.EventData{event()}},
		},
	}
}

// findings holds the log against the book, by plain SQL: an acknowledged append is there
// whole, once, and where its receipt says; a refused one is not there; one of unknown outcome
// is there whole or not at all.
func (b *book) findings(t *testing.T, pool *pgxpool.Pool) (findings []string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT position, tags, octet_length(data) FROM leftfold.events ORDER BY position")
	require.NoError(t, err)
	count, last := map[string]int{}, map[string]eventstore.Position{}
	var at, before eventstore.Position
	var tags string
	var size int
	_, err = pgx.ForEachRow(rows, []any{&at, &tags, &size}, func() error {
		if at != before+1 {
			findings = append(findings, fmt.Sprintf("position %d follows %d", at, before))
		}
		if size != diskPayload {
			findings = append(findings, fmt.Sprintf("the event at %d has %d bytes", at, size))
		}
		name := strings.TrimPrefix(tags, "append:")
		before = at
		count[name]++
		last[name] = at
		return nil
	})
	require.NoError(t, err)
	for name, outcome := range b.outcomes {
		switch made := count[name]; {
		case outcome == nil && (made != 3 || last[name] != b.receipts[name].Token.Position):
			findings = append(findings, fmt.Sprintf("%s: acknowledged, and %d of its events are there, to %d", name, made, last[name]))
		case errors.Is(outcome, eventstore.ErrOutcomeUnknown):
			if made != 0 && made != 3 {
				findings = append(findings, fmt.Sprintf("%s: half there", name))
			}
		case outcome != nil && made != 0:
			findings = append(findings, fmt.Sprintf("%s: refused, and %d of its events are there", name, made))
		}
	}
	return findings
}
