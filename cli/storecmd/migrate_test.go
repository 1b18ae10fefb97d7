package storecmd

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/cli"
)

func TestMigrateMakesASchemaAndADryRunPrintsItsSQL(t *testing.T) {
	t.Parallel()
	pool := postgrestest.Pool(t)
	store := pool.Config().ConnString() + "&schema=orders"
	migrates := func(args ...string) migrated {
		r := leftfold(t.Context(), append([]string{"migrate", "--store", store, "-o", "json"}, args...)...)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		var got migrated
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
		return got
	}
	dry := migrates("--dry-run")
	require.Len(t, dry.Steps, 2)
	assert.Contains(t, dry.Steps[0].SQL, `CREATE TABLE "orders".events`)
	assert.Equal(t, dry.Steps, migrates("--dry-run").Steps, "a dry run does nothing")

	sql := leftfold(t.Context(), "migrate", "--dry-run", "--store", store)
	_, err := pool.Exec(t.Context(), sql.stdout, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, "what is printed can be run")
	assert.Empty(t, migrates().Steps, "what another tool has run is not run again")

	r := leftfold(t.Context(), "streams", "--store", store)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	r = leftfold(t.Context(), "migrate", "--store", "sqlite:x")
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Contains(t, r.stderr, "say which store in Postgres")
}
