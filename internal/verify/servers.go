package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"

	"github.com/leftfold/leftfold/internal/testservers"
)

// servers makes sure that tests can start Postgres, PgBouncer and Redis, and talk to our own
// with curl. Each test starts its own: all it takes is the programs.
type servers struct{ scratch string }

func (s servers) run(ctx context.Context, log io.Writer) (string, error) {
	if available() == nil {
		return "", nil
	}
	options, err := programsOnly(filepath.Join(s.scratch, "no-services"))
	if err != nil {
		return "", err
	}
	detail, err := aptInstall(ctx, log, options, "postgresql", "redis-server", "pgbouncer", "curl")
	if err != nil {
		return "", err
	}
	if err := available(); err != nil {
		return "", missing(err.Error())
	}
	return detail, nil
}

func available() error {
	_, curl := exec.LookPath("curl")
	return errors.Join(testservers.Available(), curl)
}
