package demo

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
)

// here runs a command line in this process.
func here(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(t.Context(), program(), append([]string{"demo"}, args...), &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

func TestWrongFlagsAreExplainedInALine(t *testing.T) {
	for args, says := range map[string]string{
		"--for 0s":                             "--for: want more than 0",
		"--for -3s":                            "--for: want more than 0",
		"--listen here":                        `--listen "here": want HOST:PORT`,
		"--postgres mysql://x":                 "--postgres: want postgres://",
		"--redis localhost:6379":               "--redis: want redis://HOST:PORT/DATABASE",
		"--kinesis shop":                       "the URL of the Kinesis stream is wrong",
		"--kinesis kinesis://a?index=sqlite:b": "so it has no index",
		"-o yaml":                              `unknown output format "yaml"`,
		"now":                                  `unknown argument "now"`,
	} {
		r := here(t, strings.Fields(args)...)
		assert.Equal(t, cli.ExitUsage, r.code, args)
		assert.Empty(t, r.stdout, args)
		assert.Contains(t, r.stderr, says)
		assert.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
	}
}

func TestADirectoryThatCannotBeUsedIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	r := here(t, "--dir", filepath.Join(file, "demo"))
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "cannot use the directory")
	assert.Contains(t, r.stderr, "choose another with --dir")
}

func TestTwoDemosDoNotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	first, err := (&options{dir: dir}).lock()
	require.NoError(t, err)
	r := here(t, "--dir", dir)
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Equal(t, "leftfold: another demo runs on the directory "+dir+": end it, or choose another with --dir\n", r.stderr)
	require.NoError(t, first.Close())
	second, err := (&options{dir: dir}).lock()
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

// Orders come again under other ids when they are through, and a run goes on where the one before has ended.
func TestTortureOrdersNeverRunOut(t *testing.T) {
	t.Parallel()
	ids := func(begin int64) (all []string) {
		tr := &traffic{ended: func() int64 { return 1 << 40 }}
		for o, err := range tr.orders(t.Context(), begin) {
			require.NoError(t, err)
			all = append(all, o.ID)
		}
		return all
	}
	first := ids(0)
	require.Len(t, first, int(perRound()))
	assert.Equal(t, "536365", first[0])
	rest := ids(900)
	require.Len(t, rest, int(perRound())-900)
	assert.Equal(t, first[900]+"-r900", rest[0])
	again := ids(perRound())
	require.Len(t, again, len(first))
	assert.Equal(t, "536365-r955", again[0])
	assert.Empty(t, common(first, append(rest, again...)))
}

func common(a, b []string) (both []string) {
	in := map[string]bool{}
	for _, x := range a {
		in[x] = true
	}
	for _, x := range b {
		if in[x] {
			both = append(both, x)
		}
	}
	return both
}

// As many orders are open as may be, and the next one comes when one has ended.
func TestNobodyPlacesMoreThanTheShopCanTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w watcher
		w.see(look{})
		tr := &traffic{ended: w.ended, looked: w.again}
		placed := 0
		go func() {
			for range tr.orders(t.Context(), 0) {
				placed++
			}
		}()
		synctest.Wait()
		require.Equal(t, mostOpen, placed)
		w.see(look{fulfilled: 1, cancelled: 1})
		synctest.Wait()
		require.Equal(t, mostOpen+2, placed)
	})
}

func TestCommandsAreMeasured(t *testing.T) {
	t.Parallel()
	fails := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fails {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	m := &meter{}
	client := &http.Client{Transport: m}
	get := func() {
		r, err := client.Get(server.URL)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
	}
	get()
	fails = false
	get()
	get()
	assert.EqualValues(t, 2, m.count())
	assert.EqualValues(t, 1, m.repeats())
	now := time.Now()
	for n := range 100 {
		m.answered = append(m.answered, answer{now.Add(time.Second), time.Duration(n+1) * time.Millisecond})
	}
	assert.Equal(t, measured{100, 50 * time.Millisecond, 99 * time.Millisecond}, m.since(now))
	assert.Equal(t, measured{}, m.since(now.Add(time.Minute)))
}

func TestWithoutATerminalThereIsALineNowAndThen(t *testing.T) {
	var out bytes.Buffer
	p := newPlain(&out)
	f := show.Frame{
		Took:     65 * time.Second,
		Commands: show.Commands{Rate: show.Rate{PerSecond: 1234.4}, P50: 2 * time.Millisecond, P99: 70 * time.Millisecond},
		Events:   show.Rate{PerSecond: 99_999}, Sagas: show.Sagas{Running: 1, Done: 2000, Compensated: 3},
		Views: []show.View{{Name: "orders@1"}, {Name: "details@2", Lag: 7, Behind: 1500 * time.Millisecond}},
	}
	require.NoError(t, p.draw(f, []show.Line{{Text: "payment was killed"}}))
	assert.Equal(t, "1:05  payment was killed\n", out.String())
	p.next = time.Time{}
	out.Reset()
	require.NoError(t, p.draw(f, nil))
	assert.Equal(t, "1:05  1,234 commands/s (p50 2 ms, p99 70 ms), 99,999 events/s, sagas 1 running 2,000 done 3 compensated, details@2 is 7 events (1.5 s) behind\n", out.String())
}

func TestWhatIsBrokenIsNamed(t *testing.T) {
	for n, want := range []string{"", "the books do not add up: a", "the books do not add up: a (and 1 more)"} {
		r := result{Broken: []string{"a", "b"}[:n]}
		if n == 0 {
			require.NoError(t, r.verdict())
			continue
		}
		require.EqualError(t, r.verdict(), want)
		var out bytes.Buffer
		require.NoError(t, r.print(&out, cli.Table))
		assert.Contains(t, out.String(), "The books do NOT add up:\n ✗ a\n")
		assert.NotContains(t, out.String(), "✓")
	}
}
