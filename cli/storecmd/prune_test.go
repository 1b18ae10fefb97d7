package storecmd

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

func placing(id string) eventstore.AppendRequest {
	return eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID(id)},
		Writes:  []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed"}}}},
	}
}

func placedAgain(t testing.TB, store eventstore.Store, id string) (repeated bool) {
	t.Helper()
	receipt, err := store.Append(t.Context(), placing(id))
	require.NoError(t, err)
	return receipt.Repeated
}

// oldAndYoung is a file with a command of a hundred days ago and one of an hour ago.
func oldAndYoung(t testing.TB) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "shop.db")
	ago := 100 * 24 * time.Hour
	store, err := sqlite.Open(t.Context(), file, sqlite.Options{Now: func() time.Time { return time.Now().Add(-ago) }})
	require.NoError(t, err)
	require.False(t, placedAgain(t, store, "old"))
	ago = time.Hour
	require.False(t, placedAgain(t, store, "young"))
	require.NoError(t, store.Close(context.Background()))
	return file
}

func TestCommandsPruneForgetsTheOldOnes(t *testing.T) {
	t.Parallel()
	file := oldAndYoung(t)
	r := leftfold(t.Context(), "commands", "prune", "--older-than", "90d", "--store", "sqlite:"+file, "--yes")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Regexp(t, `^Forgot 1 command ids of before \S+Z\. One of these commands that is sent again will be carried out a second time\.\n$`, r.stdout)
	assert.Empty(t, r.stderr)

	r = leftfold(t.Context(), "commands", "prune", "--older-than", "2160h", "--store", "sqlite:"+file, "--yes", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var got pruned
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Zero(t, got.Pruned)
	assert.WithinDuration(t, time.Now().Add(-2160*time.Hour), got.Before, time.Minute)

	store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(context.Background())
	assert.True(t, placedAgain(t, store, "young"))
	assert.False(t, placedAgain(t, store, "old"))
}

func TestCommandsPruneForgetsNothingUnlessItIsTold(t *testing.T) {
	t.Parallel()
	file := oldAndYoung(t)
	r := leftfold(t.Context(), "commands", "prune", "--older-than", "90d", "--store", "sqlite:"+file)
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Contains(t, r.stderr, "nothing was forgotten: there is no terminal to ask at; say --yes")
	store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(context.Background())
	assert.True(t, placedAgain(t, store, "old"))
}

func TestCommandsPruneSaysWhatItIsAbout(t *testing.T) {
	t.Parallel()
	p := prune{}
	asks := p.confirmation(time.Date(2026, 8, 28, 0, 0, 0, 0, time.UTC)).Question
	assert.Contains(t, asks, "of before 2026-08-28T00:00:00Z")
	assert.Contains(t, asks, "will be carried out a second time. This cannot be undone.")
}

func TestCommandsPruneIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	prune := func(args ...string) []string { return append([]string{"commands", "prune"}, args...) }
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"commands"}, cli.ExitUsage, "want a verb: prune"},
		{[]string{"commands", "forget"}, cli.ExitUsage, `there is no verb "forget": want prune`},
		{prune("--store", "sqlite:x"), cli.ExitUsage, "say how old: --older-than 90d"},
		{prune("--older-than", "90d"), cli.ExitUsage, "say which store"},
		{prune("--older-than", "90d", "--store", "sqlite:"+filepath.Join(t.TempDir(), "none.db"), "--yes"), cli.ExitFailed, "there is no file"},
		{prune("--older-than", "90d", "--store", "sqlite:x", "-o", "xml"), cli.ExitUsage, "unknown output format"},
		{prune("--older-than", "90d", "all"), cli.ExitUsage, "unknown argument"},
		{prune("--older-than", "0d", "--store", "sqlite:x"), cli.ExitUsage, "--older-than 0d is not how long ago"},
		{prune("--older-than", "-90d", "--store", "sqlite:x"), cli.ExitUsage, "is not how long ago"},
		{prune("--older-than", "90", "--store", "sqlite:x"), cli.ExitUsage, "is not how long ago"},
		{prune("--older-than", "1.5d", "--store", "sqlite:x"), cli.ExitUsage, "is not how long ago"},
		{prune("--older-than", "106752d", "--store", "sqlite:x"), cli.ExitUsage, "is not how long ago"},
	} {
		r := leftfold(t.Context(), c.args...)
		assert.Equal(t, c.code, r.code, c.args)
		assert.Contains(t, r.stderr, c.text)
	}
	longest, err := parseAge("106751d")
	require.NoError(t, err)
	assert.Equal(t, time.Duration(106751)*24*time.Hour, longest)
}

func TestCommandsPruneWorksOnPostgres(t *testing.T) {
	t.Parallel()
	pool := postgrestest.Pool(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	defer store.Close(context.WithoutCancel(t.Context()))
	require.False(t, placedAgain(t, store, "old"))
	_, err = pool.Exec(t.Context(), "SET session_replication_role = replica; UPDATE leftfold.commands SET recorded_at = recorded_at - interval '91 days'", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	require.False(t, placedAgain(t, store, "young"))
	r := leftfold(t.Context(), "commands", "prune", "--older-than", "90d", "--store", pool.Config().ConnString(), "--yes", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Contains(t, r.stdout, `"pruned": 1`)
	assert.True(t, placedAgain(t, store, "young"))
	assert.False(t, placedAgain(t, store, "old"))
}
