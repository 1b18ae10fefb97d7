//go:build unix

package docs_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a page shows is held against what is printed: times may differ, names and results may not.
func TestAPageThatShowsSomethingElseIsFound(t *testing.T) {
	t.Parallel()
	const shows = "order-7: 3 events\n order.placed  2026-11-27 07:57:54.571  1  1,026\n…\n1 of 1 dead letters retried.\n"
	require.NoError(t, compare(shows, shows))
	require.NoError(t, compare(shows, "order-7: 3 events\n order.placed      2026-11-28 17:57:54.571  1  9\n1 of 1 dead letters retried.\n"))
	require.NoError(t, compare(shows, "export: started\norder-7: 3 events\n order.placed  2026-11-28 17:57:54.571  1  9\nmore\nand more\n1 of 1 dead letters retried.\n"))
	for _, printed := range []string{
		"",
		"order-7: 2 events\n order.placed  2026-11-27 07:57:54.571  1  1,026\n1 of 1 dead letters retried.\n",
		"order-8: 3 events\n order.placed  2026-11-27 07:57:54.571  1  1,026\n1 of 1 dead letters retried.\n",
		"order-7: 3 events\n order.placed  2026-11-27 07:57:54.571  1  1,026\n0 of 1 dead letters retried.\n",
		"order-7: 3 events\n order.placed  2026-11-27 07:57:54.571  1  1,026\n1 of 1 dead letters retried.\nleftfold: it failed\n",
	} {
		require.Error(t, compare(shows, printed), printed)
	}
}
