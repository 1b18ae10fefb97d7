package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
)

// ReplicaOptions are the options of [Postgres.Replica].
type ReplicaOptions struct {
	// Name is the replica's application_name, by which the primary's
	// synchronous_standby_names knows it. Default: replica.
	Name string

	// Settings are lines of the replica's postgresql.conf, such as
	// "hot_standby_feedback": "on". Default: those of the primary.
	Settings map[string]string

	// Dir is where the replica's directory is made. Default: /tmp.
	Dir string
}

// Replica is a hot standby that streams from its primary.
type Replica struct {
	*Postgres

	primary  *Postgres
	name     string
	settings map[string]string
}

// Replica makes a copy of the server, on a port of its own, and returns when it streams.
func (p *Postgres) Replica(ctx context.Context, options ReplicaOptions) (*Replica, error) {
	home, err := newHome(options.Dir, "lf-pg-")
	if err != nil {
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	standby := &Postgres{process: process{home: home}, programs: p.programs}
	r := &Replica{Postgres: standby, primary: p, name: options.Name}
	if r.name == "" {
		r.name = "replica"
	}
	if err := r.create(ctx, options); err != nil {
		return nil, fmt.Errorf("start a replica: %w", errors.Join(err, r.Stop(context.WithoutCancel(ctx))))
	}
	return r, nil
}

func (r *Replica) create(ctx context.Context, options ReplicaOptions) error {
	r.settings = options.Settings
	if err := r.copy(ctx); err != nil {
		return err
	}
	if err := r.startOnFreePort(ctx); err != nil {
		return err
	}
	return r.awaitStreaming(ctx)
}

// Renew starts a replica that was ended by [Postgres.StopImmediate] as a new copy of its primary, at
// its old address, and returns when it streams.
func (r *Replica) Renew(ctx context.Context) error {
	err := os.RemoveAll(r.data())
	if err == nil {
		err = r.copy(ctx)
	}
	if err != nil {
		return fmt.Errorf("copy the primary once more: %w", err)
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	return r.awaitStreaming(ctx)
}

// copy makes its data those of the primary.
func (r *Replica) copy(ctx context.Context) error {
	if err := r.run(ctx, r.program("pg_basebackup"), "--pgdata", r.data(), "--dbname", r.primary.SocketURL(""),
		"--checkpoint", "fast", "--wal-method", "stream", "--no-sync"); err != nil {
		return err
	}
	settings := map[string]string{
		"primary_conninfo":            r.primaryConnection(),
		"wal_retrieve_retry_interval": "50ms", // 5s is long for a test that reconnects
	}
	maps.Copy(settings, r.settings)
	if err := r.configure(settings); err != nil {
		return err
	}
	return r.write("data/standby.signal", "")
}

func (r *Replica) primaryConnection() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s", r.primary.port, superuser, r.name)
}

// Disconnect ends the stream: what the primary commits from here on does not arrive.
func (r *Replica) Disconnect(ctx context.Context) error {
	if err := r.follow(ctx, "ALTER SYSTEM SET primary_conninfo = ''"); err != nil {
		return fmt.Errorf("disconnect the replica: %w", err)
	}
	// Both sides: the receiver's end, and the sender, which may still be sending.
	if err := r.require(ctx, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)"); err != nil {
		return err
	}
	return r.primary.require(ctx, "SELECT NOT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1)", r.name)
}

// Reconnect undoes [Replica.Disconnect] and returns when the replica streams again.
func (r *Replica) Reconnect(ctx context.Context) error {
	if err := r.follow(ctx, "ALTER SYSTEM RESET primary_conninfo"); err != nil {
		return fmt.Errorf("reconnect the replica: %w", err)
	}
	return r.awaitStreaming(ctx)
}

func (r *Replica) follow(ctx context.Context, setting string) error {
	if err := r.exec(ctx, setting); err != nil {
		return err
	}
	return r.exec(ctx, "SELECT pg_reload_conf()")
}

func (r *Replica) awaitStreaming(ctx context.Context) error {
	return r.primary.require(ctx,
		"SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming')", r.name)
}

// PauseReplay lets the log arrive, and not become visible.
func (r *Replica) PauseReplay(ctx context.Context) error {
	if err := r.exec(ctx, "SELECT pg_wal_replay_pause()"); err != nil {
		return fmt.Errorf("pause replay: %w", err)
	}
	// Until then it is only requested, and the record at hand is still replayed.
	return r.require(ctx, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
}

// ResumeReplay undoes [Replica.PauseReplay].
func (r *Replica) ResumeReplay(ctx context.Context) error {
	if err := r.exec(ctx, "SELECT pg_wal_replay_resume()"); err != nil {
		return fmt.Errorf("resume replay: %w", err)
	}
	return nil
}

// CatchUp returns when all that the primary has committed by now is visible here.
func (r *Replica) CatchUp(ctx context.Context) error {
	var position string
	if err := r.primary.query(ctx, "SELECT pg_current_wal_insert_lsn()::text", &position); err != nil {
		return err
	}
	return r.require(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", position)
}

// Promote makes a primary of the replica. Its old primary knows nothing of that: whoever
// calls it stops that one first, or has two.
func (r *Replica) Promote(ctx context.Context) error {
	// It waits up to a minute.
	if err := r.require(ctx, "SELECT pg_promote(true, 60)"); err != nil {
		return fmt.Errorf("promote the replica: %w", err)
	}
	return nil
}

// query reads one row from the maintenance database.
func (p *Postgres) query(ctx context.Context, query string, into ...any) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(conn.QueryRow(ctx, query).Scan(into...), conn.Close(context.WithoutCancel(ctx)))
}
