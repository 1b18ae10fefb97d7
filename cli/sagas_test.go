package cli_test

import (
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// greets is a shop that has greeted the one customer, unless greetings fail.
func greets(t testing.TB, fails bool) (s *shop, id string) {
	t.Helper()
	s = newShop(t)
	s.unkind = fails
	store := s.store(t)
	happens(t, store, "1", placed{1})
	stop := s.works(t)
	require.Eventually(t, func() bool {
		var got struct {
			Instances []struct{ ID, Phase, Step, Saga string }
		}
		r := s.run(t, "sagas", "list", "-o", "json")
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &got), r.stderr)
		if len(got.Instances) == 1 {
			id = got.Instances[0].ID
		}
		var timers struct{ Timers []struct{ Instance string } }
		r = s.run(t, "timers", "-o", "json")
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &timers), r.stderr)
		return id != "" && (fails && len(timers.Timers) == 1 || got.Instances[0].Phase == "completed")
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, cli.ExitOK, stop().code)
	return s, id
}

func TestSagasShowsInstancesAndTheirTimelines(t *testing.T) {
	t.Parallel()
	s, id := greets(t, false)
	r := s.run(t, "sagas", "list", "greeter")
	assert.Regexp(t, id+`\s+greeter\s+completed`, r.stdout)
	assert.Equal(t, "There are no such instances.\n", s.run(t, "sagas", "list", "--phase", "stuck").stdout)
	assert.Regexp(t, id, s.run(t, "sagas", "list", "--phase", "completed", "-o", "jsonl").stdout)

	r = s.run(t, "sagas", "show", "greeter", id)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Regexp(t, `^\S+Z  observed order.placed of order-1\n`, r.stdout)
	assert.Regexp(t, `\n\S+Z    command requested.*greeting.send \{"Order":"1"\}`, r.stdout)
	assert.Regexp(t, `\n\S+Z    ended: completed\n$`, r.stdout)
	var got struct {
		Timeline []struct{ Kind, Says, Name string }
	}
	r = s.run(t, "sagas", "show", "greeter", id, "-o", "json")
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got), r.stderr)
	assert.Equal(t, "saga.observed", got.Timeline[0].Kind)
	assert.Equal(t, "No timers are pending.\n", s.run(t, "timers").stdout)
}

func TestTimersShowsWhatIsPending(t *testing.T) {
	t.Parallel()
	s, id := greets(t, true)
	r := s.run(t, "timers")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Regexp(t, `(in \S+|\S+ overdue)\s+greeter\s+`+id+`\s+greeting.send`, r.stdout)
	assert.Contains(t, s.run(t, "sagas", "show", "greeter", id).stdout, "nobody is kind today")
}

func TestLagIsACheckToo(t *testing.T) {
	t.Parallel()
	s := built(t)
	require.Equal(t, cli.ExitOK, s.run(t, "lag", "--most", "0", "--longest", "1s").code)
	happens(t, s.store(t), "1", placed{1}, placed{2})
	r := s.run(t, "lag")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Regexp(t, `orders@1\s+live\s+100\s+2\s+`, r.stdout)
	r = s.run(t, "lag", "--most", "1", "-o", "json")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Regexp(t, `^shop: orders@1 is 2 events behind, for \S+: see projections list\n$`, r.stderr)
	var got struct {
		Lag []struct {
			Name string
			Lag  int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Equal(t, 2, got.Lag[0].Lag)
}

func TestSagasTimersAndLagSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, c := range []struct {
		code int
		says string
		line []string
	}{
		{cli.ExitUsage, `there is no phase "done": want one of [stuck compensating running completed compensated]`, []string{"sagas", "list", "--phase", "done"}},
		{cli.ExitFailed, `there is no saga "order": there are [greeter]`, []string{"sagas", "list", "order"}},
		{cli.ExitUsage, "--limit: want 1 or more", []string{"sagas", "list", "--limit", "0"}},
		{cli.ExitUsage, "want a saga and the id of an instance of it", []string{"sagas", "show", "greeter"}},
		{cli.ExitFailed, `greeter has no instance "7": sagas list has those that changed last`, []string{"sagas", "show", "greeter", "7"}},
		{cli.ExitFailed, "the instance is not stuck", []string{"sagas", "resume", "greeter", "7"}},
		{cli.ExitFailed, `there is no saga "x"`, []string{"sagas", "resume", "x", "7"}},
		{cli.ExitFailed, `there is no saga "x": there are [greeter]`, []string{"timers", "x"}},
		{cli.ExitUsage, "--most and --longest: want 0 or more", []string{"lag", "--longest", "-1s"}},
	} {
		r := s.run(t, c.line...)
		assert.Equal(t, c.code, r.code, "%v: %s", c.line, r.stderr)
		assert.Contains(t, r.stderr, c.says, c.line)
		assert.Empty(t, r.stdout)
	}
}

func TestTopPrintsALineNowAndThenWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	s := built(t)
	happens(t, s.store(t), "1", placed{1})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var lines []string
	code := cli.Run(ctx, cli.Command(s.app()), []string{"top", "--every", "1ms"}, writes(func(line string) {
		if lines = append(lines, line); len(lines) == 2 {
			interrupt()
		}
	}), io.Discard)
	require.Equal(t, cli.ExitOK, code)
	for _, line := range lines {
		assert.Regexp(t, `^\d\d:\d\d:\d\d  0 events/s, 0 failing, 0 dead letters, orders@1 is 1 behind \(\S+\)\n$`, line)
	}
	var got struct {
		Projections []standing
	}
	r := s.run(t, "top", "--for", "1ns", "-o", "jsonl")
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got), r.stderr)
	assert.Equal(t, 1, got.Projections[0].Lag)
}

// writes is told each line.
type writes func(line string)

func (w writes) Write(line []byte) (int, error) { w(string(line)); return len(line), nil }
