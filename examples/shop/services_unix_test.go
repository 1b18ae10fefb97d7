//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// runInstead makes the test binary the program.
const runInstead = "LEFTFOLD_EXAMPLE_SHOP"

// TestMain leaves nothing of AWS in the environment but two keys of nobody, which fakes take.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_CONFIG_FILE": os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		_ = os.Setenv(name, value) // fails for malformed names only
	}
	if os.Getenv(runInstead) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Real orders come in while processes are killed (kill -9) and started again: the one that directs, the
// one that is asked for money, or the one that works for all. In the end the books add up, whoever
// directs, and wherever the work is done.
func TestTortureTheBooksAddUpThoughServicesAreKilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config func(t *testing.T) shop.Config
		args   []string
		killed []string
	}{
		"a saga directs":                        {inFiles, nil, []string{"order", "payment", "inventory"}},
		"nobody directs":                        {inFiles, []string{"--choreographed"}, []string{"order", "payment", "inventory"}},
		"one transaction spans all stores":      {inPostgres, []string{"--shared-db"}, []string{"order", "payment", "inventory"}},
		"a process works, and the others serve": {inFiles, []string{"--no-work"}, []string{"work", "order", "work"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := c.config(t)
			config.SharedDB = slices.Contains(c.args, "--shared-db")
			p := newProcesses(t, config)
			parts := []string{"--lease", "2s", "--decline-percent", "20", "--nobody-goes-to", "EIRE", "--nobody-goes-to", "France", "--nobody-goes-to", "Germany"}
			for _, name := range shop.Names {
				p.start(t, name, slices.Concat(c.args, parts)...)
			}
			if slices.Contains(c.killed, "work") {
				p.start(t, "work", parts...)
			}
			orders := 30 * eventstoretest.Scale
			r := p.places(t, config, orders, func(placed int64) {
				every := int64(orders / (len(c.killed) + 1))
				if n := placed / every; placed%every == 0 && n <= int64(len(c.killed)) {
					p.killAndStart(t, c.killed[n-1])
				}
			})
			require.EqualValues(t, orders, r.Placed)
			require.Positive(t, r.Fulfilled)
			require.Positive(t, r.Cancelled)
			p.stop(t)
		})
	}
}

func inFiles(t *testing.T) shop.Config {
	t.Helper()
	return shop.Config{Where: host.Where{Dir: t.TempDir()}}
}

func inPostgres(t *testing.T) shop.Config {
	t.Helper()
	return shop.Config{Where: host.Where{Postgres: postgrestest.Pool(t).Config().ConnString()}}
}

// processes are the services, each a process of its own.
type processes struct {
	store     []string // flags
	find      []string // flags by which they find each other
	addresses map[string]string
	running   map[string]process
}

type process struct {
	*exec.Cmd

	args []string
}

func newProcesses(t *testing.T, c shop.Config) *processes {
	t.Helper()
	p := &processes{addresses: map[string]string{}, running: map[string]process{}}
	for _, name := range append(shop.Names, "work") {
		p.addresses[name] = freeAddress(t)
	}
	for _, name := range shop.Names {
		p.find = append(p.find, "--service", name+"="+p.url(name))
	}
	p.store = []string{"--dir", c.Where.Dir}
	if c.Where.Postgres != "" {
		p.store = []string{"--postgres", c.Where.Postgres}
	}
	return p
}

// freeAddress is none that the system gives to clients: a service that was killed could not have its
// address again while one of them has it, and might even connect to itself.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			require.NoError(t, listener.Close())
			return listener.Addr().String()
		}
	}
}

func (p *processes) url(name string) string { return "http://" + p.addresses[name] }

// command prepares a run of the program.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), runInstead+"=1")
	return c
}

// run runs a verb to its end, which must be a good one, and returns what it prints.
func (p *processes) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, args...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
	return string(out)
}

// start starts a service, or the process that works for all, and returns when it listens.
func (p *processes) start(t *testing.T, name string, args ...string) {
	t.Helper()
	c := command(t, slices.Concat([]string{name, "--listen", p.addresses[name]}, args, p.store, p.find)...)
	said := new(bytes.Buffer)
	c.Stderr = said
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_, _ = c.Process.Kill(), c.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", name, said)
		}
	})
	p.running[name] = process{c, args}
	if name == "work" {
		return
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "%s: %s", name, said)
	require.Contains(t, line, name+" listens on ")
}

func (p *processes) killAndStart(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, p.running[name].Process.Kill())
	require.ErrorContains(t, p.running[name].Wait(), "killed")
	p.start(t, name, p.running[name].args...)
}

func (p *processes) stop(t *testing.T) {
	t.Helper()
	for _, c := range p.running {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	}
	for name, c := range p.running {
		require.NoError(t, c.Wait(), "%s: %s", name, c.Stderr)
	}
}

// places places real orders while something happens, and returns the books.
func (p *processes) places(t *testing.T, c shop.Config, orders int, happens func(placed int64)) books.Report {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var placed atomic.Int64
	turns := make(chan int64, orders)
	told := make(chan error, 1)
	go func() {
		_, err := feed.Place(ctx, &httpapi.Client{URL: p.url("gateway")}, small(7), feed.Options{Most: orders, Stock: 300, Placed: func(api.Order) { turns <- placed.Add(1) }})
		close(turns)
		told <- err
	}()
	for n := range turns {
		happens(n)
	}
	require.NoError(t, <-told)
	all, closing, err := c.Books(ctx)
	require.NoError(t, err)
	r, err := books.Wait(ctx, all)
	require.NoError(t, err)
	require.NoError(t, closing())
	t.Logf("%+v", r)
	return r
}

// small are real orders of no more lines than that.
func small(lines int) iter.Seq2[api.Order, error] {
	return func(yield func(api.Order, error) bool) {
		for o, err := range feed.Orders(data.Open()) {
			if (err != nil || len(o.Lines) <= lines) && !yield(o, err) {
				return
			}
		}
	}
}
