package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/leftfold/leftfold/internal/testservers"
)

// servers makes sure that tests can start Postgres, PgBouncer and Redis. Each test starts
// its own: all it takes is the programs.
type servers struct{ scratch string }

func (s servers) run(ctx context.Context, log io.Writer) (string, error) {
	if testservers.Available() == nil {
		return "", nil
	}
	options, err := programsOnly(filepath.Join(s.scratch, "no-services"))
	if err != nil {
		return "", err
	}
	detail, err := aptInstall(ctx, log, options, "postgresql", "redis-server", "pgbouncer")
	if err != nil {
		return "", err
	}
	if err := testservers.Available(); err != nil {
		return "", missing(err.Error())
	}
	return detail, nil
}
