package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
)

// Privilege is what a role may do in the schema of a store. To append it needs no right to
// write a table: appends go through functions that run as their owner.
type Privilege int

const (
	// ToRead is what a program needs to open the store, and to read streams and the log.
	ToRead Privilege = iota + 1
	// ToAppend is what a program needs besides to append, in transactions of its own too. It does not
	// let a role prune command ids: only the owner may. Whoever
	// calls the functions by hand cannot change what was recorded, nor leave a gap in positions or
	// versions; it can append events whose name, slice or tombstone our client would not write. It
	// passes no inline projection by unnoticed: the next append is refused. A program that
	// appends with inline projections needs [ToProject] too.
	ToAppend
	// ToProject is what a program needs to keep read models in the schema: the right to create
	// tables there, and to write those of views. If it shall have no right in the schema of the
	// log, give the read models another one; see [OpenSink]. Several roles may keep one read model
	// up to date, but only the one that has opened its first version, or a member of it, can make
	// another version live: only its owner can change an SQL view.
	ToProject
	// ToQuery is what a program needs to read the read models that are kept in the schema, now
	// and later. Those that are there are granted by the role that owns their tables: if that is
	// not the pool's, grant before the projection runs for the first time, or as that role.
	ToQuery
	// ToSnapshot is what a program needs to find and put the snapshots of aggregates. Whoever can put
	// one can make a decision believe a state that never was, so give it to programs that append, and
	// to no others.
	ToSnapshot
)

var grants = map[Privilege]string{
	ToRead: `GRANT USAGE ON SCHEMA leftfold TO %[1]s;
GRANT SELECT ON leftfold.migrations, leftfold.store, leftfold.events, leftfold.event_tags, leftfold.commands TO %[1]s;
GRANT EXECUTE ON FUNCTION leftfold.adopt TO %[1]s;
`,
	ToAppend: `GRANT USAGE ON SCHEMA leftfold TO %[1]s;
GRANT EXECUTE ON FUNCTION leftfold.append, leftfold.append_in, leftfold.append_one, leftfold.settle, leftfold.lock, leftfold.set_inline TO %[1]s;
`,
	ToProject: `GRANT USAGE, CREATE ON SCHEMA leftfold TO %[1]s;
GRANT SELECT ON leftfold.migrations TO %[1]s;
GRANT SELECT, INSERT, UPDATE, DELETE ON leftfold.read_models, leftfold.segments, leftfold.workers, leftfold.parked TO %[1]s;
GRANT EXECUTE ON FUNCTION leftfold.share, leftfold.show, leftfold.at_head TO %[1]s;
` + shareViews,
	ToSnapshot: `GRANT USAGE ON SCHEMA leftfold TO %[1]s;
GRANT SELECT, INSERT, UPDATE ON leftfold.snapshots TO %[1]s;
`,
	ToQuery: `GRANT USAGE ON SCHEMA leftfold TO %[1]s;
GRANT SELECT ON leftfold.migrations, leftfold.read_models, leftfold.segments, leftfold.workers, leftfold.parked TO %[1]s;
` + shareViews,
}

// shareViews gives whoever may use the registry of read models the tables that are there. Those
// that come later are shared when they are created.
const shareViews = `SELECT leftfold.share(c.oid) FROM pg_class c
JOIN leftfold.read_models m ON c.relname = format('view_%%s_%%s', m.name, m.version) OR m.stage = 'live' AND c.relkind = 'v' AND c.relname = 'live_' || m.name
WHERE c.relnamespace = 'leftfold'::regnamespace AND pg_has_role(c.relowner, 'USAGE');
`

// GrantSQL returns the statements that give a role the privileges, for those who run SQL
// with a tool of their own.
func GrantSQL(schemaName, role string, privileges ...Privilege) (string, error) {
	s, err := newSchema(schemaName)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, p := range privileges {
		statements, ok := grants[p]
		if !ok {
			return "", &eventstore.InvalidError{What: "privilege", Value: fmt.Sprint(int(p)), Reason: "want ToRead, ToAppend, ToProject, ToQuery or ToSnapshot"}
		}
		fmt.Fprintf(&text, s.in(statements), pgx.Identifier{role}.Sanitize())
	}
	return text.String(), nil
}

// Grant gives a role the privileges on the store in a schema ("": [DefaultSchema]). The
// pool's own role must own the store. A program that loads aggregates and appends to them
// needs both.
func Grant(ctx context.Context, pool *pgxpool.Pool, schemaName, role string, privileges ...Privilege) error {
	text, err := GrantSQL(schemaName, role, privileges...)
	if err != nil {
		return err
	}
	err = inTransaction(ctx, pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		return explain(tx.Conn().PgConn().Exec(ctx, text).Close())
	})
	if err != nil {
		return fmt.Errorf("grant %s its privileges: %w", role, err)
	}
	return nil
}
