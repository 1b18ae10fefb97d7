//go:build unix

package postgres_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestTortureProgramsThatAreKilledInsideAppendsLeaveRowsAndLogTogether(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	require.NoError(t, torturedInline(t, pool, inlineOn(t, pool), "appends with inline projections", 60*eventstoretest.Scale))
}

// The mutant commits an append before its rows.
func TestTortureOfAppendsCatchesASecondTransaction(t *testing.T) {
	t.Parallel()
	err := projectiontest.Caught(func() error {
		pool := newPool(t)
		p := inlineOn(t, pool)
		p.Add = nil // views only
		return torturedInline(t, pool, p, "appends with inline projections in halves", 60)
	})
	require.Error(t, err)
	t.Log(err)
}

func torturedInline(t *testing.T, pool *pgxpool.Pool, p projectiontest.InlineParts[pgx.Tx], does string, faults int) error {
	return projectiontest.CheckInlineWriters(t.Context(), p, faults, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childDoes+"="+does, childURL+"="+pool.Config().ConnString())
		return process
	})
}
