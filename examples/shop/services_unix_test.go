//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"iter"
	"net"
	"os"
	"os/exec"
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

func TestMain(m *testing.M) {
	if os.Getenv(runInstead) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Real orders come in while services are killed (kill -9) and started again: the one that directs, or the
// one that is asked for money. In the end the books add up, whoever directs.
func TestTortureTheBooksAddUpThoughServicesAreKilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config func(t *testing.T) shop.Config
		args   []string
	}{
		"a saga directs":                   {inFiles, nil},
		"nobody directs":                   {inFiles, []string{"--choreographed"}},
		"one transaction spans all stores": {inPostgres, []string{"--shared-db"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := c.config(t)
			config.SharedDB = config.Where.Postgres != ""
			p := startAll(t, config, c.args...)
			const kills = 3
			orders := 30 * eventstoretest.Scale
			r := p.places(t, config, orders, func(placed int64) {
				every := int64(orders) / (kills + 1)
				if n := placed / every; placed%every == 0 && n <= kills {
					p.killAndStart(t, []string{"order", "payment", "inventory"}[n-1])
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
	args    map[string][]string
	running map[string]*exec.Cmd
	gateway *httpapi.Client
}

func startAll(t *testing.T, c shop.Config, args ...string) *processes {
	t.Helper()
	p := &processes{args: map[string][]string{}, running: map[string]*exec.Cmd{}}
	var services []string
	addresses := map[string]string{}
	for _, name := range shop.Names {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addresses[name] = listener.Addr().String()
		services = append(services, "--service", name+"=http://"+addresses[name])
		require.NoError(t, listener.Close())
	}
	p.gateway = &httpapi.Client{URL: "http://" + addresses["gateway"]}
	if c.Where.Postgres != "" {
		args = append(args, "--postgres", c.Where.Postgres)
	} else {
		args = append(args, "--dir", c.Where.Dir)
	}
	args = append(args, "--lease", "2s", "--decline-percent", "20", "--nobody-goes-to", "EIRE", "--nobody-goes-to", "France", "--nobody-goes-to", "Germany")
	for _, name := range shop.Names {
		p.args[name] = append(append([]string{name, "--listen", addresses[name]}, args...), services...)
		p.start(t, name)
	}
	return p
}

func (p *processes) start(t *testing.T, name string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], p.args[name]...)
	c.Env, c.Stderr = append(os.Environ(), runInstead+"=1"), new(bytes.Buffer)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "%s: %s", name, c.Stderr)
	require.Contains(t, line, name+" listens on ")
	p.running[name] = c
}

func (p *processes) killAndStart(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, p.running[name].Process.Kill())
	require.ErrorContains(t, p.running[name].Wait(), "killed")
	p.start(t, name)
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
		_, err := feed.Place(ctx, p.gateway, small(4), feed.Options{Most: orders, Stock: 300, Placed: func(api.Order) { turns <- placed.Add(1) }})
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
