package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions are the options of [StartPostgres].
type PostgresOptions struct {
	// Settings are lines of postgresql.conf, such as "work_mem": "64MB". Default: those of
	// Postgres, plus what this package needs.
	Settings map[string]string

	// Dir is where the server's directory is made, for example a tmpfs. Default: /tmp.
	Dir string
}

// Postgres is a server with one superuser, postgres, who needs no password.
type Postgres struct {
	process

	programs string // the directory of initdb, postgres, pg_dump and friends
	port     int

	databases   atomic.Int64
	templates   templates
	maintenance maintenance
}

// settings are the defaults that differ from Postgres's own, and those that our users
// rely on whatever a distribution thinks.
var settings = map[string]string{
	"listen_addresses":   "127.0.0.1",
	"max_connections":    "200",
	"shared_buffers":     "128MB",
	"fsync":              "on",
	"synchronous_commit": "on",
	"full_page_writes":   "on",
	"lc_messages":        "C",
	"log_line_prefix":    "%m [%p] %q%u@%d/%a ",

	// What a killed server leaves behind is in its directory, not in /dev/shm.
	"dynamic_shared_memory_type": "mmap",

	// A replica that was disconnected finds the log it missed. A slot would do too, and
	// hold back vacuum and the log for one that never comes back.
	"wal_keep_size": "1GB",
}

// StartPostgres makes an empty server and starts it, in about a second. It ends with
// Stop, or with this process.
func StartPostgres(ctx context.Context, options PostgresOptions) (*Postgres, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	home, err := newHome(options.Dir, "lf-pg-")
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	p := &Postgres{process: process{home: home}, programs: programs}
	if err := p.create(ctx, options); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", errors.Join(err, p.Stop(context.WithoutCancel(ctx))))
	}
	return p, nil
}

func (p *Postgres) create(ctx context.Context, options PostgresOptions) error {
	// Without the sync of its files: a machine that fails while tests run takes them all.
	if err := p.run(ctx, p.program("initdb"), "--pgdata", p.data(), "--username", superuser,
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"); err != nil {
		return err
	}
	if err := p.configure(settings, options.Settings); err != nil {
		return err
	}
	return p.startOnFreePort(ctx)
}

const superuser = "postgres"

func (p *Postgres) program(name string) string { return filepath.Join(p.programs, name) }

func (p *Postgres) data() string { return p.path("data") }

// configure adds settings; the last one of a name counts. They are in the file and not on
// the command line so that ALTER SYSTEM still works.
func (p *Postgres) configure(layers ...map[string]string) error {
	all := map[string]string{}
	for _, layer := range layers {
		maps.Copy(all, layer)
	}
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&lines, "%s = '%s'\n", name, strings.ReplaceAll(all[name], "'", "''"))
	}
	return p.append("data/postgresql.conf", lines.String())
}

func (p *Postgres) startOnFreePort(ctx context.Context) error {
	return onFreePort(func(port int) error {
		p.port = port
		return p.Start(ctx)
	})
}

// Start starts a server that was stopped by [Postgres.StopImmediate], on its old port, and
// returns when it takes connections.
func (p *Postgres) Start(ctx context.Context) error {
	if err := p.start(p.program("postgres"), "-D", p.data(), "-p", strconv.Itoa(p.port), "-k", p.dir); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if err := p.ready(ctx, p.ping); err != nil {
		err = fmt.Errorf("start Postgres: %w", err)
		return errors.Join(err, p.end(context.WithoutCancel(ctx), syscall.SIGKILL))
	}
	return nil
}

// ping fails until the server takes connections. The postmaster tells in a file (so does
// it to pg_ctl); asking sooner would fill its log with refusals.
//
// Then we ask, and through the socket, which is in our directory: on the port there might
// be somebody else, and our server about to end because of that.
func (p *Postgres) ping(ctx context.Context) error {
	text, err := os.ReadFile(p.path("data/postmaster.pid"))
	if err != nil {
		return err
	}
	const pidLine, statusLine = 0, 7
	lines := strings.Split(string(text), "\n")
	if len(lines) <= statusLine || lines[pidLine] != strconv.Itoa(p.Pid()) {
		return errors.New("it has not begun")
	}
	if status := strings.TrimSpace(lines[statusLine]); status != "ready" && status != "standby" {
		return errors.New(status)
	}
	return p.exec(ctx, "SELECT 1")
}

// URL returns the address of a database, over TCP.
func (p *Postgres) URL(database string) string { return postgresURL(p.port, database) }

func postgresURL(port int, database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, port, url.PathEscape(database))
}

// SocketURL returns the address of a database, over a Unix socket.
func (p *Postgres) SocketURL(database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d&sslmode=disable",
		superuser, url.PathEscape(database), url.QueryEscape(p.dir), p.port)
}

// Addr returns the TCP address, host:port.
func (p *Postgres) Addr() string { return loopback(p.port) }

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// connect opens a connection to the maintenance database, and no pool, whose goroutines would be
// leaks in the eyes of our callers' tests.
func (p *Postgres) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, p.SocketURL("postgres"))
}

// exec runs a statement in the maintenance database.
func (p *Postgres) exec(ctx context.Context, statement string) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// require waits until a query of the maintenance database returns true.
func (p *Postgres) require(ctx context.Context, query string, args ...any) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return eventually(ctx, func(ctx context.Context) error {
		var holds bool
		if err := conn.QueryRow(ctx, query, args...).Scan(&holds); err != nil {
			return permanent{err}
		}
		if !holds {
			return fmt.Errorf("not yet: %s", query)
		}
		return nil
	})
}
