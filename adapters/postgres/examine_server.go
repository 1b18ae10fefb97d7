package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/checkup"
)

// server examines what all schemas of the database have in common.
func (e *examination) server(ctx context.Context) {
	e.ask("version", func() (checkup.Finding, error) {
		version := e.conn.PgConn().ParameterStatus("server_version")
		if tooOld(version) {
			return checkup.Fail("", "use Postgres 14 or newer", "it is Postgres %s", version), nil
		}
		return checkup.Fine("", "it is Postgres %s", version), nil
	})
	pooled := e.ask("proxy", func() (checkup.Finding, error) { return e.proxy(ctx) })
	for _, name := range durableSettings {
		e.ask(name, func() (checkup.Finding, error) { return e.durable(ctx, name) })
	}
	if !e.readModels {
		e.ask("settings of roles", func() (checkup.Finding, error) { return e.roles(ctx) })
	}
	e.ask("standby", func() (checkup.Finding, error) { return e.standby(ctx) })
	e.ask("timeouts", func() (checkup.Finding, error) { return e.timeouts(ctx) })
	if pooled.Level == checkup.OK {
		e.ask("connections", func() (checkup.Finding, error) { return e.connections(ctx) })
	}
	e.all = append(e.all, checkup.Clock(ctx, func(ctx context.Context) (now time.Time, err error) {
		err = e.row(ctx, "clock", &now)
		return now, err
	}))
}

func (e *examination) proxy(ctx context.Context) (checkup.Finding, error) {
	err := explain(pgx.BeginTxFunc(ctx, e.conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT 1")
		return err
	}))
	if errors.Is(err, ErrUnsupportedServer) {
		return checkup.Fail("", "set pool_mode to transaction or session", "it gives each statement another connection, so there are no transactions"), nil
	}
	if err != nil {
		return checkup.Finding{}, err
	}
	pooled, err := behindProxy(ctx, e.conn)
	if err != nil || !pooled {
		return checkup.Fine("", "there is none"), explain(err)
	}
	return checkup.Warn("", "give Options.Listen an address that leads to the server itself, if readers shall see appends of other processes sooner than after "+maxPoll.String(),
		"one that shares connections, such as PgBouncer, stands before the server: notifications do not come through it"), nil
}

func (e *examination) durable(ctx context.Context, name string) (checkup.Finding, error) {
	value, err := currentSetting(ctx, e.conn, name)
	switch {
	case err != nil:
		return checkup.Finding{}, explain(err)
	case value == "off" && e.readModels:
		return checkup.Warn("", "turn it on, unless read models may be built again after a crash", "it is off: what a crash takes from a read model it takes from its checkpoint too"), nil
	case value == "off":
		return checkup.Fail("", "turn it on, for the server, the database and the role", "it is off: a crash loses events that were acknowledged"), nil
	}
	return checkup.Fine("", "it is %s", value), nil
}

func (e *examination) roles(ctx context.Context) (checkup.Finding, error) {
	var who string
	if err := e.row(ctx, "examine_roles", &who); err != nil {
		return checkup.Finding{}, err
	}
	if who != "" {
		return checkup.Warn("", "reset it for them, by ALTER ROLE … RESET synchronous_commit or ALTER DATABASE …", "synchronous_commit is off for %s", who), nil
	}
	return checkup.Fine("", "synchronous_commit is off for no role and no database"), nil
}

func (e *examination) standby(ctx context.Context) (checkup.Finding, error) {
	var standby, readOnly, sees bool
	var level, names string
	var following, inStep int
	if err := e.row(ctx, "examine_standby", &standby, &readOnly, &level, &names, &sees, &following, &inStep); err != nil {
		return checkup.Finding{}, err
	}
	switch {
	case standby:
		return checkup.Warn("", "give programs that write the address of the primary", "it is a standby: it can be read, and takes no appends"), nil
	case readOnly:
		return checkup.Warn("", "turn default_transaction_read_only off for the role, the database and the server, if it shall be written", "transactions are read-only here"), nil
	case names != "" && !sees:
		return checkup.Unsure("", "examine it as a role that is a member of pg_monitor", "commits wait for a synchronous standby (%s), and role %s may not see whether it is there", names, e.conn.Config().User), nil
	case names != "" && inStep == 0:
		return checkup.Fail("", "bring the standby back, or change synchronous_standby_names", "commits wait for a synchronous standby (%s), and there is none", names), nil
	case level == "minimal":
		return checkup.Warn("", "set wal_level to replica, and archive the log or have a standby follow it", "wal_level is minimal: what came after the last backup is lost with the disk"), nil
	case following == 0:
		return checkup.Fine("", "it is the primary; no standby follows it"), nil
	}
	return checkup.Fine("", "it is the primary; %d standbys follow it, %d of them synchronously", following, inStep), nil
}

// Shorter timeouts than these cut what works: an append waits up to 5 seconds for the lock of the store.
const (
	shortStatement = 10 * time.Second
	shortPause     = time.Second
)

func (e *examination) timeouts(ctx context.Context) (checkup.Finding, error) {
	var statement, transaction, pause int64
	if err := e.row(ctx, "examine_timeouts", &statement, &transaction, &pause); err != nil {
		return checkup.Finding{}, err
	}
	for _, t := range []struct {
		name  string
		ms    int64
		short time.Duration
		cuts  string
	}{
		{"statement_timeout", statement, shortStatement, "appends that wait for others"},
		{"transaction_timeout", transaction, shortStatement, "appends that wait for others"},
		{"idle_in_transaction_session_timeout", pause, shortPause, "transactions of handlers and of programs that pause"},
	} {
		if is := time.Duration(t.ms) * time.Millisecond; is > 0 && is < t.short {
			return checkup.Warn("", fmt.Sprintf("give the role %s or more, or 0", t.short), "%s is %s: it cuts %s", t.name, is, t.cuts), nil
		}
	}
	return checkup.Fine("", "none is so short that it cuts appends"), nil
}

// takes is how many connections a store with its sink may need.
const takes = defaultReaders + 2 + 3*sinkConns

func (e *examination) connections(ctx context.Context) (checkup.Finding, error) {
	var most, used int
	if err := e.row(ctx, "examine_connections", &most, &used); err != nil {
		return checkup.Finding{}, err
	}
	if free := most - used; free < takes {
		return checkup.Warn("", "raise max_connections, or close some", "%d of %d connections are free, and a program with a store and read models takes up to %d", free, most, takes), nil
	}
	return checkup.Fine("", "%d of %d are taken", used, most), nil
}
