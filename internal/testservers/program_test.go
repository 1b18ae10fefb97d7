package testservers_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
)

// program is a server like any other.
func program(dir string) testservers.ProgramOptions {
	return testservers.ProgramOptions{
		Name: "Some", Program: "redis-server", Dir: dir,
		Args: func(port int) []string { return []string{"--bind", "127.0.0.1", "--port", fmt.Sprint(port)} },
	}
}

func TestAProgramTakesConnectionsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	server, err := testservers.StartProgram(t.Context(), program(""))
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, server.Stop(context.Background()))
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr())
	require.Error(t, err)
}

func TestAProgramThatDoesNotComeUpSaysWhatItSaid(t *testing.T) {
	t.Parallel()
	broken := program("")
	broken.Program, broken.Args = "sh", func(int) []string { return []string{"-c", "echo no such setting; exit 1"} }
	_, err := testservers.StartProgram(t.Context(), broken)
	require.ErrorContains(t, err, "start Some")
	assert.ErrorContains(t, err, "it has ended")
	assert.ErrorContains(t, err, "no such setting")
}
