package main

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// To look at a shop makes none.
func TestTheBooksOfNoShopAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := root()
	cmd.SetArgs([]string{"books", "--dir", dir})
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	require.ErrorContains(t, cmd.ExecuteContext(t.Context()), "say where it is with --dir")
	made, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, made)
}
