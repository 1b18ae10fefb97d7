package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// sentinels are all that a caller can ask for, of what explain returns.
var sentinels = []error{
	eventstore.ErrStoreBusy, eventstore.ErrOutcomeUnknown, ErrUnavailable, ErrReadOnly, ErrDiskFull, ErrDenied,
	ErrNoStore, ErrOldSchema, ErrNewerSchema, ErrNotDurable, ErrUnsupportedServer, ErrIsolation,
	projection.ErrInlineMismatch, eventstore.ErrImporting,
}

// states are what a user meets of each SQLSTATE: the sentinels that match, and no others, and
// a word of what to do.
var states = []struct {
	state, name string
	class       class
	is          []error
	advice      string
}{
	{"25006", "read_only_sql_transaction", readOnly, []error{ErrReadOnly}, "default_transaction_read_only"},
	{"53100", "disk_full", full, []error{ErrDiskFull}, "free some space and try again"},
	{"42501", "insufficient_privilege", denied, []error{ErrDenied}, "postgres.Grant"},
	{"3F000", "invalid_schema_name", absent, []error{ErrNoStore}, "run postgres.Migrate"},
	{"42P01", "undefined_table", absent, []error{ErrNoStore}, "run postgres.Migrate"},
	{"42883", "undefined_function", absent, []error{ErrNoStore}, "run postgres.Migrate"},
	{"42704", "undefined_object", absent, []error{ErrNoStore}, "run postgres.Migrate"},
	{"40001", "serialization_failure", busy, []error{eventstore.ErrStoreBusy}, "try again"},
	{"40P01", "deadlock_detected", busy, []error{eventstore.ErrStoreBusy}, "try again"},
	{"55P03", "lock_not_available", busy, []error{eventstore.ErrStoreBusy}, "commit at once"},
	{"57014", "query_canceled", busy, []error{eventstore.ErrStoreBusy}, "statement_timeout"},
	{"53200", "out_of_memory", busy, []error{eventstore.ErrStoreBusy}, "try again"},
	{"53300", "too_many_connections", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "raise max_connections"},
	{"57P01", "admin_shutdown", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"57P02", "crash_shutdown", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"57P03", "cannot_connect_now", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"57P05", "idle_session_timeout", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"25P03", "idle_in_transaction_session_timeout", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{stateAppendOnly, "our triggers", denied, []error{ErrDenied}, "append an event that corrects the facts"},
	{stateIsolation, "our append", isolation, []error{ErrIsolation}, "default_transaction_isolation"},
	{stateSettings, "our append in a session that was reset", stale, []error{eventstore.ErrStoreBusy}, "try again"},
	{stateInline, "an append that passes a projection by", mismatched, []error{projection.ErrInlineMismatch}, "SwitchInline"},
	{stateBehind, "rows that lack events", mismatched, []error{projection.ErrInlineMismatch}, "SwitchInline"},
	{stateImporting, "an append while a log is imported", imported, []error{eventstore.ErrImporting}, "run it again"},
	{stateFenced, "a batch that was given up, which nobody waits for", unknownClass, nil, "open the store anew"},

	// Whole classes of states; a state that is named above leaves its class.
	{"08000", "connection_exception", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"08006", "connection_failure", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"08P01", "protocol_violation, as PgBouncer reports its own timeouts", unavailable, []error{ErrUnavailable, eventstore.ErrStoreBusy}, "try again"},
	{"22003", "numeric_value_out_of_range", deterministic, nil, "the same again will fail again"},
	{"22021", "character_not_in_repertoire", deterministic, nil, "the same again will fail again"},
	{"23505", "unique_violation", deterministic, nil, "the same again will fail again"},
	{"23514", "check_violation", deterministic, nil, "the same again will fail again"},
	{"42601", "syntax_error", deterministic, nil, "the same again will fail again"},
	{"42703", "undefined_column", deterministic, nil, "the same again will fail again"},
	{"54001", "statement_too_complex", deterministic, nil, "the same again will fail again"},
	{"54000", "program_limit_exceeded, as near a wraparound", unknownClass, nil, "vacuum"},

	// What we know nothing about is neither repeated nor blamed on one append.
	{"25P02", "in_failed_sql_transaction", unknownClass, nil, "roll back"},
	{"28P01", "invalid_password", unknownClass, nil, "the server's log"},
	{"3D000", "invalid_catalog_name", unknownClass, nil, "the server's log"},
	{"53000", "insufficient_resources", unknownClass, nil, "the server's log"},
	{"57P04", "database_dropped", unknownClass, nil, "the server's log"},
	{"58030", "io_error", unknownClass, nil, "the server's log"},
	{"P0001", "raise_exception", unknownClass, nil, "the server's log"},
	{"0A000", "feature_not_supported, as of a cached plan", stale, []error{eventstore.ErrStoreBusy}, "try again"},
	{"26000", "invalid_sql_statement_name", stale, []error{eventstore.ErrStoreBusy}, "try again"},
	{"XX000", "internal_error", unknownClass, nil, "the server's log"},
	{"XX001", "data_corrupted", unknownClass, nil, "the server's log"},
	{"", "a state that the server did not send", unknownClass, nil, "the server's log"},
}

func TestEverySQLSTATESaysWhatItIsAndWhatToDo(t *testing.T) {
	met := map[string]bool{}
	for _, c := range states {
		t.Run(c.state+" "+c.name, func(t *testing.T) {
			met[c.state] = true
			failure := &pgconn.PgError{Severity: "ERROR", Code: c.state, Message: "as the server says it"}
			assert.Equal(t, c.class, classOf(failure))

			err := explain(fmt.Errorf("by way of the driver: %w", failure))
			for _, sentinel := range sentinels {
				assert.Equal(t, slices.Contains(c.is, sentinel), errors.Is(err, sentinel), "errors.Is(err, %q)", sentinel)
			}
			require.ErrorContains(t, err, c.advice)
			require.ErrorContains(t, err, "as the server says it")
			kept, ok := errors.AsType[*pgconn.PgError](err)
			require.True(t, ok)
			assert.Same(t, failure, kept)
		})
	}
	for state := range classes {
		assert.True(t, met[state], "%s is not in the table", state)
	}
	for state := range advice {
		assert.True(t, met[state], "%s is not in the table", state)
	}
}

// Only what passes by itself is tried again without asking anybody.
func TestOnlyWhatPassesIsTriedAgain(t *testing.T) {
	for _, c := range states {
		err := explain(&pgconn.PgError{Code: c.state})
		assert.Equal(t, c.class == busy || c.class == unavailable || c.class == stale, passes(err), "%s %s", c.state, c.name)
		assert.Equal(t, c.class == deterministic, hasOneGuilty(err), "%s %s", c.state, c.name)
		assert.Equal(t, c.class == readOnly || c.class == stale, needsAnotherServer(err), "%s %s", c.state, c.name)
		trouble := regexp.MustCompile("^(08|58|XX|57P0)").MatchString(c.state)
		assert.Equal(t, !trouble, isAnswer(err), "%s %s: the server has refused, unless it is in trouble itself", c.state, c.name)
	}
}

func TestATypeThatIsGoneIsStaleAndOtherInternalErrorsAreNot(t *testing.T) {
	require.True(t, isStale(explain(&pgconn.PgError{Code: "XX000", Message: "cache lookup failed for type 16391"})))
	require.False(t, isStale(explain(&pgconn.PgError{Code: "XX000", Message: "could not read block 0"})))
}

func TestABrokenConnectionIsUnavailableAndNoAnswer(t *testing.T) {
	err := explain(&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.ErrorContains(t, err, "see whether the server runs")
	require.False(t, isAnswer(err), "the batch may be committed")
	require.True(t, passes(err))
}

func TestTheEndOfAContextIsNoErrorOfTheServer(t *testing.T) {
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		err := fmt.Errorf("by way of the driver: %w", ended)
		require.Equal(t, err, explain(err))
		require.NotErrorIs(t, explain(err), ErrUnavailable)
	}
	require.NoError(t, explain(nil))
}
