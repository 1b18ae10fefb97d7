package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// PgBouncerOptions are the options of [StartPgBouncer].
type PgBouncerOptions struct {
	// Mode is PgBouncer's pool_mode: session, transaction or statement. Default: transaction,
	// the one that breaks clients who keep state in a connection.
	Mode string

	// PoolSize is how many connections to Postgres each database may have. Default: 20.
	PoolSize int

	// Settings are lines of the [pgbouncer] section of pgbouncer.ini.
	Settings map[string]string

	// Dir is where the server's directory is made. Default: /tmp.
	Dir string
}

// PgBouncer stands between clients and one Postgres, for every database of it.
type PgBouncer struct {
	process

	program string
	target  *Postgres
	options PgBouncerOptions
	port    int
}

// StartPgBouncer starts a PgBouncer in front of the server. It ends with Stop, or with
// this process.
func StartPgBouncer(ctx context.Context, target *Postgres, options PgBouncerOptions) (*PgBouncer, error) {
	binary, err := program("pgbouncer", "pgbouncer")
	if err != nil {
		return nil, fmt.Errorf("start PgBouncer: %w", err)
	}
	home, err := newHome(options.Dir, "lf-bouncer-")
	if err != nil {
		return nil, fmt.Errorf("start PgBouncer: %w", err)
	}
	b := &PgBouncer{process: process{home: home}, program: binary, target: target, options: options}
	err = onFreePort(func(port int) error {
		b.port = port
		return b.Start(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, b.Stop(context.WithoutCancel(ctx)))
	}
	return b, nil
}

// Start starts a PgBouncer that was killed, on its old port, and returns when it takes
// connections, whether or not its Postgres does.
func (b *PgBouncer) Start(ctx context.Context) error {
	err := errors.Join(
		b.write("users.txt", fmt.Sprintf("%q \"\"\n", superuser)),
		b.write("pgbouncer.ini", b.ini()),
	)
	if err == nil {
		err = b.start(b.program, b.path("pgbouncer.ini"))
	}
	if err != nil {
		return fmt.Errorf("start PgBouncer: %w", err)
	}
	if err := b.ready(ctx, b.ping); err != nil {
		return fmt.Errorf("start PgBouncer: %w", errors.Join(err, b.Kill(context.WithoutCancel(ctx))))
	}
	return nil
}

// Kill kills it with SIGKILL, and with it the connections of its clients, until Start.
func (b *PgBouncer) Kill(ctx context.Context) error { return b.end(ctx, syscall.SIGKILL) }

func (b *PgBouncer) ini() string {
	settings := map[string]string{
		"listen_addr":     "127.0.0.1",
		"listen_port":     strconv.Itoa(b.port),
		"unix_socket_dir": b.dir,
		"auth_type":       "trust",
		"auth_file":       b.path("users.txt"),
		"admin_users":     superuser,
		"pool_mode":       "transaction",
		"max_client_conn": "1000",

		// What most installations have to ignore, and no more: a client that needs another
		// one must fail here as it will at our users'.
		"ignore_startup_parameters": "extra_float_digits",
	}
	if b.options.Mode != "" {
		settings["pool_mode"] = b.options.Mode
	}
	if b.options.PoolSize > 0 {
		settings["default_pool_size"] = strconv.Itoa(b.options.PoolSize)
	}
	maps.Copy(settings, b.options.Settings)

	var text strings.Builder
	fmt.Fprintf(&text, "[databases]\n* = host=127.0.0.1 port=%d\n\n[pgbouncer]\n", b.target.port)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = %s\n", name, settings[name])
	}
	return text.String()
}

// ping connects to the console, which needs no Postgres. It asks through the socket, and
// looks for the port in the log: a PgBouncer that did not get its port only warns.
func (b *PgBouncer) ping(ctx context.Context) error {
	url := fmt.Sprintf("postgres://%s@/pgbouncer?host=%s&port=%d&sslmode=disable", superuser, b.dir, b.port)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	if err := conn.Close(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if !strings.Contains(b.ownLog(), "listening on "+b.Addr()) {
		return permanent{fmt.Errorf("port %d: address already in use", b.port)}
	}
	return nil
}

// URL returns the address of a database of the Postgres, through PgBouncer.
func (b *PgBouncer) URL(database string) string { return postgresURL(b.port, database) }

// Addr returns the TCP address, host:port.
func (b *PgBouncer) Addr() string { return loopback(b.port) }
