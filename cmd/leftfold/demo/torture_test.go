package demo

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/testservers"
)

// adds holds what a run has come to against what it promises.
func (r ran) adds(t *testing.T) result {
	t.Helper()
	require.Equal(t, cli.ExitOK, r.code, "%s\n%s", r.stdout, r.stderr)
	is := r.result(t)
	require.Empty(t, is.Broken)
	require.EqualValues(t, len(plan)-1, is.Kills)
	require.Len(t, is.Rebuilds, 1)
	assert.Positive(t, is.Rebuilds[0].Answered)
	assert.Positive(t, is.Fulfilled)
	assert.Equal(t, is.Books.Placed, is.Books.Fulfilled+is.Books.Cancelled)
	assert.Equal(t, is.Books.Events, is.Books.Applied)
	t.Logf("%s\n%+v", r.stderr, is)
	return is
}

func TestTortureDemoAddsUpThoughServicesAreKilled(t *testing.T) {
	for range eventstoretest.Scale {
		run(t, "--headless", "--check", "--for", "4s", "-o", "json", "--dir", t.TempDir()).adds(t)
	}
}

func TestTortureDemoAddsUpOnPostgresRedisAndKinesis(t *testing.T) {
	redis, err := testservers.SharedRedis()
	if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
	client := awstest.Kinesis(t, nil)
	emulator, err := emulators.Kinesis()
	require.NoError(t, err)
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	for range eventstoretest.Scale {
		stream := filepath.Base(filepath.Dir(t.TempDir()))
		awstest.CreateStream(t, client, stream, 2)
		is := run(t, "--headless", "--check", "--for", "5s", "-o", "json", "--dir", t.TempDir(),
			"--postgres", postgrestest.Pool(t).Config().ConnString(), "--redis", redis.URL(),
			"--kinesis", "kinesis://"+stream+"?region=eu-west-1&endpoint="+url.QueryEscape(emulator.URL())).adds(t)
		require.NotNil(t, is.Stream)
		assert.Equal(t, is.Books.Events, is.Stream.Events)
	}
}
