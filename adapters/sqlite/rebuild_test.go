package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// rebuild is a child that rebuilds a read model, in a file beside that of the store.
func rebuild(path string) error {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	sink, err := sqlite.OpenSink(ctx, path+".views")
	if err != nil {
		return err
	}
	parts := projectiontest.Parts{Store: store, Sink: sink}
	if os.Getenv(childPromotesInHalves) != "" {
		file, err := sql.Open("sqlite", "file:"+path+".views?_pragma=busy_timeout(5000)")
		if err != nil {
			return err
		}
		parts.Sink = halfPromoted{sink, file}
	}
	return projectiontest.RebuildUntilKilled(ctx, parts, os.Stdout)
}

// childPromotesInHalves plants a bug in the child.
const childPromotesInHalves = "LEFTFOLD_SQLITE_CHILD_PROMOTES_IN_HALVES"

// halfPromoted ends the life of one generation, and would begin that of the next, apart: it dies
// between the two.
type halfPromoted struct {
	projection.Sink
	file *sql.DB
}

func (s halfPromoted) Promote(ctx context.Context, of projection.Generation) error {
	_, err := s.file.ExecContext(ctx, "UPDATE read_models SET stage = 'kept' WHERE name = ?1 AND stage = 'live' AND version <> ?2", of.Name, of.Version)
	if err != nil {
		return err
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	return err
}

func TestReadersSeeNoErrorAndNoOlderRowsWhileAGenerationIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	store := openStore(t, path)
	file, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer file.Close()
	read, err := file.Prepare("SELECT events FROM live_tallies WHERE key = ?")
	require.ErrorContains(t, err, "live_tallies", "nobody has opened it yet")
	require.Nil(t, read)
	projectiontest.RunSwitch(t, projectiontest.Parts{Store: store, Sink: store.Sink()}, func(ctx context.Context, key string) (events int64, err error) {
		err = file.QueryRowContext(ctx, "SELECT events FROM live_tallies WHERE key = ?", key).Scan(&events)
		return events, err
	})
}
