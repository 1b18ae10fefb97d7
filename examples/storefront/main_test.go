//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/internal/testservers"
)

// runInstead makes the test binary the program.
const runInstead = "LEFTFOLD_EXAMPLE_STOREFRONT"

func TestMain(m *testing.M) {
	if os.Getenv(runInstead) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The story is told as the README has it, to the word.
func TestTheStoryIsTrue(t *testing.T) {
	told := program(t, t.TempDir())
	out, err := told.Output()
	require.NoError(t, err, "%s", told.Stderr)
	require.Equal(t, anyway(block(t, "text")[0]), anyway(string(out)))
	require.Empty(t, told.Stderr.(*bytes.Buffer).String())
}

// The services are started, and asked, as the README does it. Only the addresses are others.
func TestTheREADMEIsTrue(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		_, err := exec.LookPath(tool)
		needs(t, err)
	}
	dir, here := t.TempDir(), map[string]string{}
	var processes []*process
	for line := range strings.Lines(block(t, "sh")[0]) {
		args := strings.Fields(strings.TrimPrefix(at(here, line), "go run ./examples/storefront "))
		written := args[2]
		args[2] = "127.0.0.1:0"
		p := startIn(t, dir, args...)
		here[written] = strings.TrimPrefix(p.url, "http://")
		processes = append(processes, p)
	}
	require.Len(t, processes, 4)

	var script, want strings.Builder
	for _, console := range block(t, "console") {
		for line := range strings.Lines(console) {
			if asked, ok := strings.CutPrefix(line, "$ "); ok {
				fmt.Fprintf(&script, "%s\necho\n", strings.TrimSpace(at(here, asked)))
			} else {
				want.WriteString(line)
			}
		}
	}
	printed, err := exec.CommandContext(t.Context(), "bash", "-eu", "-c", script.String()).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	require.Equal(t, anyway(want.String()), anyway(regexp.MustCompile(`\n+`).ReplaceAllString(string(printed), "\n")))
	for _, p := range processes {
		require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	}
	for _, p := range processes {
		require.NoError(t, p.Wait(), "%s", p.Stderr)
	}
}

// An instance of stock is killed while eight ask. A page that knows no other one lacks it.
func TestAnInstanceThatIsKilledCostsNoRequest(t *testing.T) {
	dir := t.TempDir()
	orders := startIn(t, dir, "orders")
	one, two := startIn(t, dir, "stock"), startIn(t, dir, "stock", "--name", "stock-2")
	both := startIn(t, dir, "page", "--orders", orders.url, "--stock", one.url, "--stock", two.url)
	alone := startIn(t, dir, "page", "--orders", orders.url, "--stock", one.url)

	arrived := does(t, one, "stock.receive", `{"item":"mug","quantity":10}`, "d")
	placed := does(t, orders, "order.place", `{"order":"42","item":"mug","quantity":2}`, "b")
	for _, p := range []*process{both, alone} {
		status, body := pageOf(t, p, "42", placed+", "+arrived)
		require.Equal(t, http.StatusOK, status, body)
		require.NotContains(t, body, "missing")
	}
	whole := new(story).many(t.Context(), both.instance(), 100, placed, func() { require.NoError(t, one.Process.Kill()) })
	require.EqualValues(t, 100, whole)
	_, body := pageOf(t, alone, "42", placed)
	require.Contains(t, body, `"missing":[{"part":"stock"`, "it is gone")
}

// A standby has stopped to replay: who asks after a token gets the page from the primary, and who
// does not gets it from the standby, without the order.
func TestAPausedStandbyIsNeverTheSourceOfAnOlderPage(t *testing.T) {
	needs(t, testservers.PostgresAvailable())
	primary, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Stop(context.Background())) })
	pool, err := pgxpool.New(t.Context(), primary.URL("postgres"))
	require.NoError(t, err)
	defer pool.Close()
	_, err = postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{Schema: "orders"})
	require.NoError(t, err)
	standby, err := primary.Replica(t.Context(), testservers.ReplicaOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Stop(context.Background())) })

	dir := t.TempDir()
	orders := startIn(t, dir, "orders", "--postgres", primary.URL("postgres"), "--replica", standby.URL("postgres"))
	page := startIn(t, dir, "page", "--orders", orders.url, "--stock", "http://localhost:1")
	order := func(name string) (token string) {
		token = does(t, orders, "order.place", `{"order":"`+name+`","item":"mug","quantity":1}`, name)
		status, body := pageOf(t, page, name, token)
		require.Equal(t, http.StatusOK, status, body)
		require.Contains(t, body, `"order":"`+name+`"`)
		return token
	}
	order("first")
	require.NoError(t, standby.CatchUp(t.Context()))
	require.NoError(t, standby.PauseReplay(t.Context()))
	token := order("second")
	require.Eventually(t, func() bool {
		status, _ := pageOf(t, page, "second", "")
		return status == http.StatusNotFound
	}, 20*time.Second, 10*time.Millisecond, "the standby is asked when nothing is required")
	for n := range 20 {
		order(fmt.Sprint(n))
		status, body := pageOf(t, page, "second", token)
		require.Equal(t, http.StatusOK, status, body)
	}
	require.NoError(t, standby.ResumeReplay(t.Context()))
	order("last")
	require.NoError(t, orders.Process.Signal(syscall.SIGTERM))
	require.NoError(t, orders.Wait(), "%s", orders.Stderr)
	require.Regexp(t, `orders: 127.0.0.1:\d+ was asked [1-9]\d* times\norders: .* was asked [1-9]\d* times`, orders.rest())
}

// needs skips the test on a machine that lacks something, unless all tests are to be run.
func needs(t *testing.T, err error) {
	t.Helper()
	if err != nil && os.Getenv("LEFTFOLD_TEST") == "all" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
}

// process is a service as a process of its own.
type process struct {
	*exec.Cmd

	url  string
	rest func() string // what it printed after its address, once it has ended
}

func (p *process) instance() instance { return instance{url: p.url} }

func program(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), runInstead+"=1"), new(bytes.Buffer)
	return c
}

func startIn(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	c := program(t, dir, args...)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	c.Stdout = write
	require.NoError(t, c.Start())
	require.NoError(t, write.Close())
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait(); _ = read.Close() })
	out := bufio.NewReader(read)
	line, err := out.ReadString('\n')
	require.NoError(t, err, "%s", c.Stderr)
	_, url, _ := strings.Cut(strings.TrimSpace(line), "listens on ")
	return &process{c, url, func() string {
		var all bytes.Buffer
		_, err := out.WriteTo(&all)
		require.NoError(t, err)
		return all.String()
	}}
}

func does(t *testing.T, p *process, name, body, key string) (token string) {
	t.Helper()
	status, header, answer, err := send(t.Context(), p.instance(), "POST /commands/"+name, `Idempotency-Key: "`+key+`"`, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, answer)
	return header.Get("Leftfold-Position")
}

func pageOf(t *testing.T, p *process, order, token string) (int, string) {
	t.Helper()
	var headers []string
	if token != "" {
		headers = append(headers, "Leftfold-After: "+token)
	}
	status, _, answer, err := send(t.Context(), p.instance(), "GET /queries/page.get?order="+order, headers...)
	require.NoError(t, err)
	return status, answer
}

// block returns the blocks of the README in a language.
func block(t *testing.T, language string) (all []string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(readme, -1) {
		all = append(all, string(found[1]))
	}
	require.NotEmpty(t, all)
	return all
}

func at(here map[string]string, text string) string {
	for written, address := range here {
		text = strings.ReplaceAll(text, written, address)
	}
	return text
}

var another = regexp.MustCompile(`[0-9a-f]{4}…|stock-[12]|Age: \d+`)

// anyway is a text without what may be another one each time: ids, who of two answers, and seconds.
func anyway(text string) string {
	return another.ReplaceAllStringFunc(strings.TrimSpace(text), func(one string) string {
		return strings.TrimRight(one, "0123456789abcdef…")
	})
}
