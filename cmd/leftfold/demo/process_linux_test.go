package demo

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// descendants counts the processes that have the variable in their environment.
func descendants(t *testing.T, variable string) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), variable) { // else it has ended, or is somebody else's
			n++
		}
	}
	return n
}

func TestTortureNothingIsLeftOfADemoThatWasKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	variable := "DEMO_OF_TEST=" + dir
	cmd := spawned(t, "--headless", "--for", "1h", "--dir", dir)
	cmd.Env = append(cmd.Env, variable)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	require.Eventually(t, func() bool { return descendants(t, variable) == 6 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return descendants(t, variable) == 0 }, time.Minute, 10*time.Millisecond)
}

// The first Ctrl-C ends the demo with the check, and a second one at once. A terminal sends it to the services too.
func TestTortureCtrlCEndsTheDemoWithACheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := spawned(t, "--headless", "--check", "--for", "1h", "-o", "json", "--dir", dir)
	variable := "DEMO_OF_TEST=" + dir
	cmd.Env, cmd.SysProcAttr = append(cmd.Env, variable), &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	awaitOrders(t, dir, 50)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	_ = cmd.Wait()
	r := seen(cmd)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	is := r.result(t)
	assert.Empty(t, is.Broken)
	assert.Positive(t, is.Placed)
	assert.Zero(t, descendants(t, variable))
}
