package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

// openedStore is a store that a verb works on.
type openedStore interface {
	eventstore.Store
	Close(ctx context.Context) error
}

const storeHelp = "URL of the store: sqlite:FILE or postgres://…, with ?schema=NAME if it is not in schema leftfold"

func storeFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "store", "", storeHelp)
}

// openStore opens a store that is there. It never makes one: what a typo names would be empty.
func openStore(ctx context.Context, at string) (openedStore, error) {
	if at == "" {
		return nil, &usageError{errors.New("say which store: --store sqlite:FILE or --store postgres://…")}
	}
	if file, isFile := strings.CutPrefix(at, "sqlite:"); isFile {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s (--store)", file)
		}
		return sqlite.Open(ctx, file, sqlite.Options{})
	}
	if strings.HasPrefix(at, "postgres://") || strings.HasPrefix(at, "postgresql://") {
		return openPostgres(ctx, at)
	}
	return nil, &usageError{fmt.Errorf("unknown store %q: want sqlite:FILE or postgres://… (--store)", withoutPassword(at))}
}

func openPostgres(ctx context.Context, at string) (openedStore, error) {
	parsed, err := url.Parse(at)
	if err != nil {
		return nil, &usageError{errors.New("the URL of the store cannot be parsed (--store)")} // it may hold a password
	}
	parameters := parsed.Query()
	options := postgres.Options{Schema: parameters.Get("schema"), Readers: 2}
	parameters.Del("schema") // it is ours, not the server's
	parsed.RawQuery = parameters.Encode()
	pool, err := pgxpool.New(ctx, parsed.String())
	if err != nil {
		return nil, err
	}
	defer pool.Close() // the store has its own connections
	return postgres.Open(ctx, pool, options)
}

func withoutPassword(at string) string {
	if parsed, err := url.Parse(at); err == nil {
		return parsed.Redacted()
	}
	return "(not a URL)"
}
