package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// What went wrong, for errors.Is. Each message says what to do. An append that fails with
// one of these was not made.
var (
	// ErrUnavailable: the server cannot be reached, or broke the connection, or is starting or
	// stopping. It is an [eventstore.ErrStoreBusy] too: try again.
	ErrUnavailable = fmt.Errorf("postgres: server is not available: %w", eventstore.ErrStoreBusy)
	// ErrReadOnly: the server is a standby, or the transaction is read-only.
	ErrReadOnly = errors.New("postgres: server is read-only")
	// ErrDiskFull: the server has no room left. Reads go on.
	ErrDiskFull = errors.New("postgres: disk is full")
	// ErrDenied: the role lacks a right; see [Grant].
	ErrDenied = errors.New("postgres: permission denied")
	// ErrNoStore: the schema has no store; see [Migrate].
	ErrNoStore = errors.New("postgres: no store in this schema")
	// ErrOldSchema: the schema is of an older release; see [Migrate].
	ErrOldSchema = errors.New("postgres: schema is of an older release")
	// ErrNewerSchema: the schema is of a newer release, which this program cannot use.
	ErrNewerSchema = errors.New("postgres: schema is of a newer release")
	// ErrNotDurable: the server acknowledges commits that a crash would lose.
	ErrNotDurable = errors.New("postgres: server acknowledges before it is durable")
	// ErrUnsupportedServer: the server is older than Postgres 14, or its database is not encoded
	// as UTF8, or a proxy in front of it gives each statement another connection.
	ErrUnsupportedServer = errors.New("postgres: server is not supported")
	// ErrIsolation: the transaction of an append is not READ COMMITTED.
	ErrIsolation = errors.New("postgres: isolation level is not READ COMMITTED")
)

// class is what an error of the server means for what to do next.
type class int

const (
	unknownClass  class = iota
	deterministic       // the same again will fail again
	busy                // nothing was done; the same again may work
	unavailable         // there is no server at the moment
	readOnly
	full
	denied
	absent // our schema or a part of it
	isolation
	unsupported
	mismatched // with what the store applies inline
	imported   // no append is taken until the import has ended
	stale      // the session knows a schema that is there no more
)

// Our own SQLSTATEs, in a class that no standard uses.
const (
	stateAppendOnly = "LF001" // a change of what was recorded
	stateIsolation  = "LF002"
	stateFenced     = "LF003" // a batch that its writer has given up
	stateInline     = "LF006" // an append of a program that applies other projections inline
	stateBehind     = "LF007" // the checkpoint of an inline projection is not at the head
	stateSettings   = "LF005" // an append in a session that has not the settings for it
	stateImporting  = "LF008" // an append while a log is being imported
)

var classes = map[string]class{
	"54000":         unknownClass, // program_limit_exceeded: no limit of one append; a wraparound of transaction ids is near
	"25006":         readOnly,     // read_only_sql_transaction
	"53100":         full,         // disk_full
	"42501":         denied,       // insufficient_privilege
	"3F000":         absent,       // invalid_schema_name
	"42P01":         absent,       // undefined_table
	"42883":         absent,       // undefined_function
	"42704":         absent,       // undefined_object, such as a type
	"40001":         busy,         // serialization_failure
	"40P01":         busy,         // deadlock_detected
	"55P03":         busy,         // lock_not_available
	"0A000":         stale,        // feature_not_supported: "cached plan must not change result type"
	"26000":         stale,        // invalid_sql_statement_name: what was prepared is gone
	"57014":         busy,         // query_canceled, as by a statement timeout
	"53200":         busy,         // out_of_memory
	"53300":         unavailable,  // too_many_connections
	"57P01":         unavailable,  // admin_shutdown
	"57P02":         unavailable,  // crash_shutdown
	"57P03":         unavailable,  // cannot_connect_now
	"57P05":         unavailable,  // idle_session_timeout
	"25P03":         unavailable,  // idle_in_transaction_session_timeout
	stateAppendOnly: denied,
	stateIsolation:  isolation,
	stateInline:     mismatched,
	stateBehind:     mismatched,
	stateImporting:  imported,
	stateSettings:   stale, // they were set, and somebody has reset the session
}

// classOf looks at the SQLSTATE; see
// https://www.postgresql.org/docs/current/errcodes-appendix.html.
func classOf(failure *pgconn.PgError) class {
	if class, ok := classes[failure.Code]; ok {
		return class
	}
	switch {
	case failure.Code == "08P01" && strings.Contains(failure.Message, "statement pooling"): // PgBouncer's words
		return unsupported
	case failure.Code == "XX000" && strings.HasPrefix(failure.Message, "cache lookup failed"): // never translated
		return stale
	case strings.HasPrefix(failure.Code, "08"): // connection exceptions
		return unavailable
	case strings.HasPrefix(failure.Code, "22"), // data
		strings.HasPrefix(failure.Code, "23"), // constraints
		strings.HasPrefix(failure.Code, "42"), // names and syntax
		strings.HasPrefix(failure.Code, "54"): // limits
		return deterministic
	}
	return unknownClass
}

// explain turns an error of the driver into one that tells the user what to do. Other
// errors pass as they are.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fmt.Errorf("%w: see whether the server runs and the address is right, then try again: %w", ErrUnavailable, err)
	}
	means := meanings[classOf(failure)]
	what, ok := advice[failure.Code]
	if !ok {
		what = means.advice
	}
	return fmt.Errorf("%w: %s: %w", means.is, what, err)
}

// meanings say what the user sees of a class, and what to do.
var meanings = map[class]struct {
	is     error
	advice string
}{
	unknownClass:  {errServer, "the server's log may say more"},
	deterministic: {errServer, "the same again will fail again"},
	busy:          {errBusy, "try again"},
	unavailable:   {ErrUnavailable, "try again when the server is up"},
	readOnly:      {ErrReadOnly, "write to the primary; if this is the primary, default_transaction_read_only is on for the role, the database or the server"},
	full:          {ErrDiskFull, "nothing was written; free some space and try again"},
	denied:        {ErrDenied, "grant the role what it needs with postgres.Grant"},
	absent:        {ErrNoStore, "run postgres.Migrate"},
	unsupported:   {ErrUnsupportedServer, "PgBouncer shares its connections by statement, and a transaction needs one of its own; set pool_mode to transaction or session"},
	stale:         {errBusy, "the schema was changed or restored under the session, or its settings were reset; it is closed now, try again"},
	mismatched:    {projection.ErrInlineMismatch, "append with the inline projections of the store, or switch it by Store.SwitchInline"},
	imported:      {eventstore.ErrImporting, "let the import run to its end, or run it again"},
	isolation:     {ErrIsolation, "begin the transaction with pgx.TxOptions{IsoLevel: pgx.ReadCommitted}; behind a proxy, where the store cannot say so itself, reset default_transaction_isolation of the role and the database"},
}

var (
	errServer = errors.New("postgres: the server refused")
	errBusy   = fmt.Errorf("postgres: %w", eventstore.ErrStoreBusy)
)

// advice is for states about which there is more to say than about their class.
var advice = map[string]string{
	stateFenced:     "somebody has settled the batches of this writer, so it was not made; open the store anew and append again",
	"54000":         "if it speaks of wraparound, vacuum the database; if of an index row, a key or a value of an indexed column of a read model is too long",
	stateAppendOnly: "append an event that corrects the facts",
	"53300":         "close some connections or raise max_connections, then try again; a store takes up to Options.Readers and two more, a sink up to 16 and 8 for Sink.Read",
	"25P02":         "roll back; a statement before this one has failed",
	"55P03":         "a transaction has held a lock for too long: that of the store, if this was an append (append last in transactions and commit at once), or a checkpoint's (keep the windows of handlers short); try again (or a commit that notifies has not been flushed, in any database of the server)",
	"57014":         "it was canceled, or took longer than statement_timeout; try again",
	"57P05":         "try again; the server ends idle sessions, see idle_session_timeout",
	"25P03":         "try again; the server ends transactions that pause, see idle_in_transaction_session_timeout",
}

// passes reports whether an error may go away by itself, soon.
func passes(err error) bool {
	return errors.Is(err, eventstore.ErrStoreBusy) || errors.Is(err, context.DeadlineExceeded)
}

// isStale reports whether the session is of no use any more, whoever caused it: a schema was
// restored or made anew under it, or what it had prepared was taken away. A new one will do.
func isStale(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && classOf(failure) == stale
}

// needsAnotherServer reports whether to connect anew: a name may lead to another server by
// then, and a new session knows the schema as it is.
func needsAnotherServer(err error) bool { return errors.Is(err, ErrReadOnly) || isStale(err) }
