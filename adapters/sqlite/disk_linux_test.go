package sqlite_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

const smallDisk = "LEFTFOLD_SQLITE_SMALL_DISK" // where the child mounts it

// TestADiskThatIsReallyFullLosesNothing runs itself in a child that may mount a file
// system of 2 MB, which nobody else sees.
func TestADiskThatIsReallyFullLosesNothing(t *testing.T) {
	if disk := os.Getenv(smallDisk); disk != "" {
		onASmallDisk(t, disk)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestADiskThatIsReallyFullLosesNothing$", "-test.v")
	child.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		child.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	output, err := child.CombinedOutput()
	switch code := child.ProcessState.ExitCode(); {
	case child.Process == nil, code == cannotMount:
		unavailable(t, fmt.Sprintf("no file system of our own, neither as root nor in a user namespace: %v\n%s", err, output))
	default:
		require.NoError(t, err, "%s", output)
		t.Logf("%s", output)
	}
}

// unavailable skips a test that the machine cannot run, unless all of them must.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("LEFTFOLD_TEST") == "all" {
		t.Fatal(why)
	}
	t.Skip(why)
}

const cannotMount = 77

func onASmallDisk(t *testing.T, disk string) {
	mountSmallDisk(disk)
	path, ballast := filepath.Join(disk, "leftfold.db"), filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	store := openStore(t, path)

	tried, refused := fillDisk(t, store)
	require.NotZero(t, refused)
	acked := maps.Clone(tried)
	maps.DeleteFunc(acked, func(_ string, at eventstore.Position) bool { return at == 0 })
	requireSound(t, store, acked, "what was refused is not there")
	requireSound(t, openStore(t, crashed(t, path)), acked, "and a crash does not bring it to life")

	require.NoError(t, os.Remove(ballast))
	retryAll(t, store, tried)
	requireSound(t, store, tried, "with space again, the store goes on")
	require.NoError(t, store.Close(t.Context()))
	requireSound(t, openStore(t, path), tried, "and after closing")
	t.Logf("%d commands, %d of them refused by a full disk", len(tried), refused)
}

func mountSmallDisk(at string) {
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", at, "tmpfs", 0, "size=2m")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(cannotMount)
	}
}

// fillDisk lets four clients append until each has been refused ten times, and returns
// what they know.
func fillDisk(t *testing.T, store eventstore.Store) (tried map[string]eventstore.Position, refused int) {
	tried = map[string]eventstore.Position{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n, refusals := 0, 0; refusals < 10; n++ {
				name := fmt.Sprintf("full/%d/%d", c, n)
				receipt, err := store.Append(context.Background(), request(name))
				if err != nil {
					assert.ErrorIs(t, err, sqlite.ErrDiskFull)
					assert.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
					refusals++
				}
				mu.Lock()
				tried[name] = receipt.Token.Position
				mu.Unlock()
			}
			mu.Lock()
			refused += 10
			mu.Unlock()
		})
	}
	all.Wait()
	return tried, refused
}

func requireSound(t *testing.T, store eventstore.Store, tried map[string]eventstore.Position, why string) {
	t.Helper()
	found, err := findings(t.Context(), store, tried)
	require.NoError(t, err)
	require.Empty(t, found, why)
}

// crashed returns a copy of the file as a crash would leave it: without the memory that
// says how much of the write-ahead log counts.
func crashed(t *testing.T, path string) string {
	t.Helper()
	target := newPath(t)
	for _, end := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + end)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(target+end, content, 0o600))
	}
	return target
}
