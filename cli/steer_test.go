package cli_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// built is a shop whose view is live and caught up.
func built(t testing.TB) *shop {
	t.Helper()
	s := newShop(t)
	store := s.store(t)
	for n := range 50 {
		happens(t, store, fmt.Sprint(n), placed{1}, paid{})
	}
	s.catchesUp(t)
	return s
}

func TestPauseAndResumeSteerAReadModel(t *testing.T) {
	t.Parallel()
	s := built(t)
	r := s.run(t, "projections", "pause", "orders")
	require.Equal(t, ran{0, "orders@1 is paused.\n", ""}, r)
	assert.Equal(t, "paused", s.list(t)["orders@1"].State)
	assert.NotContains(t, s.run(t, "projections", "list").stdout, "(paused)")
	r = s.run(t, "projections", "resume", "orders@1", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.JSONEq(t, `{"name": "orders", "version": 1, "now": "resumed"}`, r.stdout)
	assert.Equal(t, "stopped", s.list(t)["orders@1"].State)
}

func TestRebuildReplacesTheLiveGenerationAndRollbackBringsItBack(t *testing.T) {
	t.Parallel()
	s := built(t)
	s.version = 2
	r := s.run(t, "projections", "rebuild", "orders")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Regexp(t, `^orders@2 is live, at position 100, after \S+ \(\S+/s\)\.\norders@1 is kept: `, r.stdout)
	assert.Contains(t, r.stderr, "rebuild orders@2: started\n")
	assert.Contains(t, r.stderr, "done\n")
	all := s.list(t)
	assert.Equal(t, "live", all["orders@2"].Stage)
	assert.Equal(t, "kept", all["orders@1"].Stage)
	require.Len(t, s.rows(t), 50)

	r = s.run(t, "projections", "rollback", "orders")
	require.Equal(t, ran{0, "orders@1 is live.\n", ""}, r)
	r = s.run(t, "projections", "rollback", "orders@2", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.JSONEq(t, `{"name": "orders", "version": 2, "now": "live"}`, r.stdout)

	r = s.run(t, "projections", "retire", "orders@1")
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Contains(t, r.stderr, "nothing was removed")
	r = s.run(t, "projections", "retire", "orders@1", "--yes")
	require.Equal(t, ran{0, "orders@1 is retired.\n", ""}, r)
	assert.NotContains(t, s.list(t), "orders@1")
}

// The new program parks a key that the old one has not come to.
func TestARebuildThatCannotBeLiveSaysWhy(t *testing.T) {
	t.Parallel()
	s := built(t)
	happens(t, s.store(t), "7", spoiled{})
	s.version = 2
	r := s.run(t, "projections", "rebuild", "orders")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, `key "7" is parked since position 101, and not in orders@1: event order.spoiled at position 101`)
	assert.NotContains(t, r.stderr, "done\n")
	assert.Equal(t, "building", s.list(t)["orders@2"].Stage)
	assert.Empty(t, r.stdout)

	s.mended = true
	require.Equal(t, cli.ExitOK, s.run(t, "dead-letters", "retry", "orders", "--all").code)
	r = s.run(t, "projections", "rebuild", "orders")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Contains(t, r.stdout, "orders@2 is live, at position 101")
}

func TestRebuildInPlaceFillsTheViewAgain(t *testing.T) {
	t.Parallel()
	s := built(t)
	r := s.run(t, "projections", "rebuild", "orders", "--in-place")
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Contains(t, r.stderr, "nothing was emptied")
	stop := s.works(t) // others may work on it meanwhile
	r = s.run(t, "projections", "rebuild", "orders", "--in-place", "--yes", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Equal(t, "orders", got["name"])
	assert.NotContains(t, got, "replaced")
	assert.GreaterOrEqual(t, got["events"], 100.0)
	require.Equal(t, cli.ExitOK, stop().code)
	require.Len(t, s.rows(t), 50)
	for _, row := range s.rows(t) {
		assert.Equal(t, int64(1), row.Placed)
	}
}

func TestProjectionsSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := built(t)
	for _, c := range []struct {
		code int
		says string
		line []string
	}{
		{cli.ExitUsage, "want a verb: list, pause, resume, rebuild, rollback, retire", nil},
		{cli.ExitUsage, "want the name of a read model, or a generation of it such as orders@2", []string{"pause"}},
		{cli.ExitUsage, `"orders@x" names no generation`, []string{"resume", "orders@x"}},
		{cli.ExitFailed, "orders@7: projections list has those that are there", []string{"pause", "orders@7"}},
		{cli.ExitFailed, "ledger: run a worker of it first", []string{"pause", "ledger"}},
		{cli.ExitFailed, "orders@1 is live already: raise its version in the program, or say --in-place", []string{"rebuild", "orders"}},
		{cli.ExitFailed, "archive is a relay, and has no rows to build anew", []string{"rebuild", "archive"}},
		{cli.ExitFailed, "no generation of orders is kept: there is nothing to roll back to", []string{"rollback", "orders"}},
		{cli.ExitUsage, "want a generation, such as orders@1", []string{"retire", "orders"}},
		{cli.ExitFailed, "generation is live", []string{"retire", "orders@1", "--yes"}},
	} {
		r := s.run(t, append([]string{"projections"}, c.line...)...)
		assert.Equal(t, c.code, r.code, "%v: %s", c.line, r.stderr)
		assert.Contains(t, r.stderr, c.says, c.line)
		assert.Empty(t, r.stdout)
	}
}
