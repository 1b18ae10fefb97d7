package storecmd

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/internal/testservers"
)

func TestTheDoctorLooksAtAllThatIsNamed(t *testing.T) {
	t.Parallel()
	url, redis := postgrestest.Pool(t).Config().ConnString(), redisServer(t).URL()
	r := leftfold(t.Context(), "doctor", "--store", url, "--read-models", emptyStore(t), "--redis", redis, "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stdout+r.stderr)
	assert.Empty(t, r.stderr)
	var got diagnoses
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Equal(t, checkup.Warning, got.Worst, "the role of tests is a superuser")
	about := map[string]bool{}
	for _, one := range got.Findings {
		about[one.Of+" "+one.Check] = true
	}
	for _, check := range []string{"store fsync", "store proxy", "store grants", "read-models integrity", "redis eviction"} {
		assert.Contains(t, about, check)
	}

	r = leftfold(t.Context(), "doctor", "--store", url)
	assert.Contains(t, r.stdout, "\nstore\n  ok        connection: it took ")
	assert.Contains(t, r.stdout, "  warning   grants: role postgres is a superuser: no trigger and no right stops its mistakes\n            -> give programs a role of their own")
	r = leftfold(t.Context(), "doctor", "--read-models", redis, "-o", "jsonl")
	assert.Regexp(t, `(?m)^\{"of":"read-models","check":"eviction","level":"(ok|warning)","says":".*"`, r.stdout)
}

func TestTheDoctorFailsIfACheckDoes(t *testing.T) {
	t.Parallel()
	server, err := testservers.StartRedis(t.Context(), testservers.RedisOptions{Settings: map[string]string{"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}})
	if err != nil {
		redisServer(t) // skips, or fails, where there is no Redis
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	for _, c := range []struct {
		code         int
		stdout, says string
		line         []string
	}{
		{cli.ExitFailed, "FAILED    eviction: at maxmemory", "leftfold: checks failed (redis: eviction)\n", []string{"--redis", server.URL()}},
		{cli.ExitFailed, "FAILED    connection: ", "leftfold: checks failed (store: connection)\n", []string{"--store", "postgres://app:secret@127.0.0.1:1/shop"}},
		{cli.ExitFailed, "FAILED    connection: ", "leftfold: checks failed (read-models: connection)\n", []string{"--read-models", "redis://:secret@127.0.0.1:1"}},
		{cli.ExitFailed, "FAILED    file: there is no such file", "leftfold: checks failed (store: file)\n", []string{"--store", "sqlite:nowhere.db"}},
		{cli.ExitUsage, "", "say what to look at", nil},
		{cli.ExitUsage, "", `unknown store "redis://x"`, []string{"--store", "redis://x"}},
		{cli.ExitUsage, "", `unknown redis "postgres://app:xxxxx@x"`, []string{"--redis", "postgres://app:secret@x"}},
		{cli.ExitUsage, "", "unknown argument", []string{"shop.db"}},
	} {
		r := leftfold(t.Context(), append([]string{"doctor"}, c.line...)...)
		assert.Equal(t, c.code, r.code, "%v: %s", c.line, r.stdout)
		assert.Contains(t, r.stderr, c.says)
		assert.Contains(t, r.stdout, c.stdout)
		assert.NotContains(t, r.stdout+r.stderr, "secret")
		if c.code == cli.ExitUsage {
			assert.Empty(t, r.stdout)
		}
	}
}

// A check that could not be made is no check that held.
func TestAWarningIsNoFailureAndWhatIsUnknownIs(t *testing.T) {
	t.Parallel()
	of := func(levels ...checkup.Level) (all []diagnosis) {
		for _, level := range levels {
			all = append(all, diagnosis{"store", checkup.Finding{Check: string(level), Level: level}})
		}
		return all
	}
	require.NoError(t, unfit(of(checkup.OK, checkup.Warning)))
	require.EqualError(t, unfit(of(checkup.OK, checkup.Unknown)), "checks could not be made (store: unknown)")
	require.EqualError(t, unfit(of(checkup.Failed, checkup.Unknown)), "checks failed (store: failed), and some could not be made (store: unknown)")
}
