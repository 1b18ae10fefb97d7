package storecmd

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/schema"
)

// sold fills a store with events in two schema versions, more than two pages of a census.
func sold(t testing.TB, store eventstore.Appender) {
	t.Helper()
	for n, version := range []int{1, 1, 2} {
		write := eventstore.Write{Stream: "till-1"}
		for range 500 {
			write.Events = append(write.Events, eventstore.EventData{Type: "till.sold", SchemaVersion: version})
		}
		if n == 0 {
			write.Events = append(write.Events, eventstore.EventData{Type: "till.opened"})
		}
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
		require.NoError(t, err)
	}
}

var ofSales = schema.Census{Through: 1501, Events: 1501, Shapes: []schema.Shape{
	{Type: "till.opened", SchemaVersion: 1, Events: 1, First: 501, Last: 501, Samples: []eventstore.Position{501}},
	{Type: "till.sold", SchemaVersion: 1, Events: 1000, First: 1, Last: 1001, Samples: []eventstore.Position{1, 2, 4, 8, 16, 32, 64, 128, 256, 513}},
	{Type: "till.sold", SchemaVersion: 2, Events: 500, First: 1002, Last: 1501, Samples: []eventstore.Position{1002, 1003, 1005, 1009, 1017, 1033, 1065, 1129, 1257}},
}}

func TestACensusOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "till.db")
	store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(context.Background())
	sold(t, store)

	r := leftfold(t.Context(), "schema", "census", "--store", "sqlite:"+file, "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var census schema.Census
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &census))
	assert.Equal(t, ofSales, census)

	r = leftfold(t.Context(), "schema", "census", "--store", "sqlite:"+file)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Equal(t, `
1,501 events in 3 shapes
 event type   version  events  first   last     some are at
 till.opened        1       1    501    501             501
 till.sold          1   1,000      1  1,001     128 256 513
 till.sold          2     500  1,002  1,501  1065 1129 1257
`, r.stdout)
}

func TestACensusOfADatabase(t *testing.T) {
	pool := postgrestest.Pool(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	defer store.Close(context.Background())
	sold(t, store)
	r := leftfold(t.Context(), "schema", "census", "--store", pool.Config().ConnString(), "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var census schema.Census
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &census))
	assert.Equal(t, ofSales, census)
}

func TestACensusOfNothing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.db")
	for says, args := range map[string][]string{
		"there is no file":         {"schema", "census", "--store", "sqlite:" + missing},
		"say which store":          {"schema", "census"},
		"want a verb: census":      {"schema"},
		"unknown output format":    {"schema", "census", "-o", "xml", "--store", "sqlite:" + missing},
		"unknown argument \"all\"": {"schema", "census", "all"},
		"unknown store":            {"schema", "census", "--store", "file.db"},
	} {
		r := leftfold(t.Context(), args...)
		assert.NotEqual(t, cli.ExitOK, r.code, args)
		assert.Contains(t, r.stderr, says)
		assert.Empty(t, r.stdout)
	}
	assert.NoFileExists(t, missing)
}
