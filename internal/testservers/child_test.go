package testservers_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
)

// The tests about what is left behind run their own binary again, as a child that
// starts servers in a directory and is then killed.

const (
	childRuns = "LEFTFOLD_TESTSERVERS_CHILD"
	childDir  = "LEFTFOLD_TESTSERVERS_CHILD_DIR"
)

// children are what a child may do before it waits for its end.
var children = map[string]func(ctx context.Context, dir string) error{
	"runs all servers": func(ctx context.Context, dir string) error {
		server, err := testservers.StartPostgres(ctx, testservers.PostgresOptions{Dir: dir})
		if err != nil {
			return err
		}
		if _, err := server.Replica(ctx, testservers.ReplicaOptions{Dir: dir}); err != nil {
			return err
		}
		if _, err := testservers.StartPgBouncer(ctx, server, testservers.PgBouncerOptions{Dir: dir}); err != nil {
			return err
		}
		cache, err := testservers.StartRedis(ctx, testservers.RedisOptions{Dir: dir, AppendOnly: true})
		if err != nil {
			return err
		}
		if _, err = cache.Replica(ctx, testservers.RedisOptions{Dir: dir}); err != nil {
			return err
		}
		_, err = testservers.StartProgram(ctx, program(dir))
		return err
	},
	"has killed its postmaster": func(ctx context.Context, dir string) error {
		server, err := testservers.StartPostgres(ctx, testservers.PostgresOptions{Dir: dir})
		if err != nil {
			return err
		}
		postmaster, err := os.FindProcess(server.Pid())
		if err != nil {
			return err
		}
		return postmaster.Kill()
	},
	"is about to run initdb": func(ctx context.Context, dir string) error {
		go func() { _, _ = testservers.StartPostgres(ctx, testservers.PostgresOptions{Dir: dir}) }()
		return nil
	},
	"panics": func(ctx context.Context, dir string) error {
		if _, err := testservers.StartPostgres(ctx, testservers.PostgresOptions{Dir: dir}); err != nil {
			return err
		}
		panic("a test has panicked")
	},
}

func child() {
	if err := children[os.Getenv(childRuns)](context.Background(), os.Getenv(childDir)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// startChild returns when the child waits for its end, or has ended.
func startChild(t *testing.T, does, dir string) *osexec.Cmd {
	t.Helper()
	process := osexec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childRuns+"="+does, childDir+"="+dir)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		require.Equal(t, "ready", lines.Text())
	}
	return process
}

func TestNothingIsLeftOfTheServersOfAProcessThatWasKilled(t *testing.T) {
	t.Parallel()
	for does, running := range map[string]int{"runs all servers": 6, "has killed its postmaster": 1, "panics": 1} {
		t.Run(does, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			process := startChild(t, does, dir)
			if does != "panics" {
				require.Len(t, entries(t, dir), running)
			}
			shared := sharedMemory(t, dir)
			require.NoError(t, process.Process.Kill())
			_ = process.Wait() // "signal: killed"
			requireNothingLeft(t, dir)
			for _, segment := range shared {
				assert.NotContains(t, segments(t), segment)
			}
		})
	}
}

func TestNothingIsLeftOfAProcessThatWasKilledDuringInitdb(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "data/PG_VERSION", "data/postmaster.pid", "data/base/1"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			process := startChild(t, "is about to run initdb", dir)
			require.Eventually(t, func() bool {
				found, _ := filepath.Glob(filepath.Join(dir, "lf-pg-*", file))
				return len(found) > 0
			}, waitLimit, tick)
			require.NoError(t, process.Process.Kill())
			_ = process.Wait() // "signal: killed"
			requireNothingLeft(t, dir)
		})
	}
}

// requireNothingLeft waits until the directory is empty and nobody lives in it.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(entries(t, dir)) == 0 && len(living(t, dir)) == 0 }, waitLimit, tick)
}

// living returns the processes that work in the directory, or did before it was removed.
func living(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	var found []string
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			found = append(found, link)
		}
	}
	return found
}

// sharedMemory returns the ids of the System V segments of the servers in the directory.
func sharedMemory(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "data", "postmaster.pid"))
	require.NoError(t, err)
	var ids []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it is being removed: the child has ended already
		}
		id := strings.Fields(strings.Split(string(text), "\n")[6])[1]
		require.Contains(t, segments(t), id)
		ids = append(ids, id)
	}
	return ids
}

// segments returns the ids of all System V segments.
func segments(t *testing.T) []string {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	require.NoError(t, err)
	var ids []string
	for line := range strings.Lines(string(table)) {
		ids = append(ids, strings.Fields(line)[1])
	}
	return ids
}
