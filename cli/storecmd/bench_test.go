package storecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/cli"
)

// benching runs the verb with little to measure: its inserts are slow under the race detector.
func benching(ctx context.Context, stderr io.Writer, args ...string) ran {
	root := &cobra.Command{Use: "leftfold"}
	root.AddCommand((&bench{writers: []int{1, 3}, batches: []int{1, 5}}).command())
	var stdout, said bytes.Buffer
	args = append([]string{"bench", "--runs", "2", "--for", "1ns", "--events", "250"}, args...)
	code := cli.Run(ctx, root, args, &stdout, io.MultiWriter(stderr, &said))
	return ran{code, stdout.String(), said.String()}
}

func measuredBy(t *testing.T, r ran) benchResult {
	t.Helper()
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var result benchResult
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &result))
	for _, m := range result.Measured {
		assert.Positive(t, m.EventsPerSecond, m.name())
		if m.Writers > 0 {
			assert.Equal(t, result.Runs*m.Writers, m.Calls, "a call of each writer in each run")
			assert.LessOrEqual(t, *m.P50, *m.P99)
		}
	}
	return result
}

func TestABenchmarkMeasuresBesideTheStoreAndLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		result := measuredBy(t, benching(t.Context(), io.Discard, "--store", "sqlite:"+filepath.Join(folder, "shop.db"), "-o", "json"))
		assert.Equal(t, "SQLite", result.Store.Kind)
		assert.Equal(t, "wal", result.Store.Settings["journal_mode"])
		require.Len(t, result.Measured, 7)
		assert.Equal(t, "append, 3 writers, 5 events", result.Measured[3].name())
		assert.Equal(t, "project, 250 events", result.Measured[6].name())
		left, err := os.ReadDir(folder)
		require.NoError(t, err)
		assert.Empty(t, left, "it takes away what it made, and makes no store")
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		pool := postgrestest.Pool(t)
		schemas := func() (n int) {
			require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace").Scan(&n))
			return n
		}
		before := schemas()
		r := benching(t.Context(), io.Discard, "--store", pool.Config().ConnString())
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		assert.Contains(t, r.stdout, "fsync o")
		assert.Contains(t, r.stdout, "project, 250 events")
		assert.Equal(t, before, schemas())
		var head int
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&head))
		assert.Zero(t, head, "the store itself is not touched")
	})
}

// ending ends a run as Ctrl-C does, when it has begun to measure.
type ending func()

func (stop ending) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte("bench: started")) {
		stop()
	}
	return len(text), nil
}

func TestABenchmarkThatIsInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	r := benching(ctx, ending(stop), "--store", "sqlite:"+filepath.Join(folder, "shop.db"))
	assert.Equal(t, cli.ExitInterrupted, r.code, r.stderr)
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestABenchmarkThatIsAskedForWronglyIsSaidInALine(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"--runs and --for must be positive, and --events at least 100": {"--store", "sqlite:x", "--events", "99"},
		"say which store": {},
		"nothing was appended: there is no terminal to ask at; say --yes if the events": {"--store", "kinesis://orders?index=sqlite:x"},
		"want kinesis://STREAM": {"--store", "kinesis:orders"},
	} {
		r := leftfold(t.Context(), append([]string{"bench"}, args...)...)
		assert.Equal(t, cli.ExitUsage, r.code, r.stderr)
		assert.Contains(t, r.stderr, says)
		assert.Empty(t, r.stdout)
	}
}

func TestFiguresAreMediansOfRuns(t *testing.T) {
	t.Parallel()
	run := func(events int, calls ...time.Duration) sample {
		return sample{events, 2 * time.Second, calls}
	}
	m := medians(measured{What: "append"}, []sample{run(20, 3*time.Millisecond, time.Millisecond), run(2000, time.Second), run(40, 9*time.Millisecond)})
	assert.InDelta(t, 20, m.EventsPerSecond, 1e-9)
	assert.Equal(t, 4, m.Calls)
	assert.InDelta(t, 9, *m.P50, 1e-9, "of 1, 1000 and 9")
	assert.InDelta(t, 9, *m.P99, 1e-9, "of 3, 1000 and 9")
	hundred := make([]time.Duration, 100)
	for n := range hundred {
		hundred[n] = time.Duration(n+1) * time.Millisecond
	}
	assert.InDelta(t, 50, quantile(hundred, 50), 1e-9)
	assert.InDelta(t, 99, quantile(hundred, 99), 1e-9)
	assert.InDelta(t, 1.5, median([]float64{2, 1}), 1e-9)
	assert.Nil(t, medians(measured{}, []sample{run(1)}).P50, "a run that is one call has no quantiles")
}
