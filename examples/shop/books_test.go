package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// To look at a shop makes none.
func TestAShopThatIsNotThereIsNotLookedAt(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"books", "state-at order-1", "projections list", "lag", "lag --only order", "sagas list", "timers", "dead-letters list"} {
		t.Run(verb, func(t *testing.T) {
			dir := t.TempDir()
			var said bytes.Buffer
			code := cli.Run(t.Context(), root(), append(strings.Fields(verb), "--dir", dir), io.Discard, &said)
			require.Equal(t, cli.ExitFailed, code)
			require.Contains(t, said.String(), "say where it is with --dir, or begin one with shop all")
			made, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, made)
		})
	}
}
