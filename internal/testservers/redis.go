package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
)

// RedisOptions are the options of [StartRedis].
type RedisOptions struct {
	// AppendOnly keeps a log on disk, so that what was written survives [Redis.Kill]. It is
	// synced every second (Redis's default). Default: nothing is kept.
	AppendOnly bool

	// Settings are lines of redis.conf, such as "maxmemory": "10mb".
	Settings map[string]string

	// Dir is where the server's directory is made. Default: /tmp.
	Dir string
}

// Redis is a server that needs no password.
type Redis struct {
	process

	program  string
	args     []string
	port     int
	settings map[string]string
}

// StartRedis starts an empty server. It ends with Stop, or with this process.
func StartRedis(ctx context.Context, options RedisOptions) (*Redis, error) {
	return startRedis(ctx, options)
}

// startRedis starts the program with arguments behind its file of settings.
func startRedis(ctx context.Context, options RedisOptions, args ...string) (*Redis, error) {
	binary, err := program("redis-server", "redis-server")
	if err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	home, err := newHome(options.Dir, "lf-redis-")
	if err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	r := &Redis{process: process{home: home}, program: binary, args: args, settings: redisSettings(home, options)}
	err = onFreePort(func(port int) error {
		r.port = port
		return r.Start(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, r.Stop(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func redisSettings(home *home, options RedisOptions) map[string]string {
	all := map[string]string{
		"bind":       "127.0.0.1",
		"dir":        home.dir,
		"unixsocket": home.path("redis.sock"),
		"save":       `""`,
		"appendonly": "no",

		// Redis waits five seconds for more replicas to share a first copy.
		"repl-diskless-sync-delay": "0",
	}
	if options.AppendOnly {
		all["appendonly"] = "yes"
	}
	maps.Copy(all, options.Settings)
	return all
}

// Start starts a server that was killed, on its old port and directory, and returns when
// it answers.
func (r *Redis) Start(ctx context.Context) error {
	var lines strings.Builder
	fmt.Fprintf(&lines, "port %d\n", r.port)
	for _, name := range slices.Sorted(maps.Keys(r.settings)) {
		fmt.Fprintf(&lines, "%s %s\n", name, r.settings[name])
	}
	err := r.write("redis.conf", lines.String())
	if err == nil {
		err = r.start(r.program, append([]string{r.path("redis.conf")}, r.args...)...)
	}
	if err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	if err := r.ready(ctx, r.ping); err != nil {
		return fmt.Errorf("start Redis: %w", errors.Join(err, r.Kill(context.WithoutCancel(ctx))))
	}
	return nil
}

// Kill kills the server with SIGKILL and leaves it ended, until Start.
func (r *Redis) Kill(ctx context.Context) error { return r.end(ctx, syscall.SIGKILL) }

// Addr returns the TCP address, host:port.
func (r *Redis) Addr() string { return loopback(r.port) }

// URL returns the address of database 0.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Replica starts a server that follows this one, and returns when it has the first copy.
func (r *Redis) Replica(ctx context.Context, options RedisOptions) (*Redis, error) {
	options.Settings = maps.Clone(options.Settings)
	if options.Settings == nil {
		options.Settings = map[string]string{}
	}
	options.Settings["replicaof"] = fmt.Sprintf("127.0.0.1 %d", r.port)
	replica, err := StartRedis(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := replica.ready(ctx, replica.linked); err != nil {
		return nil, fmt.Errorf("start a replica: %w", errors.Join(err, replica.Stop(context.WithoutCancel(ctx))))
	}
	return replica, nil
}

func (r *Redis) ping(ctx context.Context) error { return r.expect(ctx, "PING", "PONG") }

func (r *Redis) linked(ctx context.Context) error {
	return r.expect(ctx, "INFO replication", "master_link_status:up")
}
