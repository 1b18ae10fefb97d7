package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/checkup"
)

// ExamineOptions are the choices of [Examine]. The zero value works.
type ExamineOptions struct {
	// Schema is where the store or the read models are. Default: [DefaultSchema].
	Schema string
	// ReadModels examines what it takes to keep read models, in place of a log. Default: false.
	ReadModels bool
}

// Examine tells whether a server, its settings, a schema and a role are fit for a store, or for read models. It
// makes one connection of its own from the pool's configuration, and changes nothing: a log that was
// restored stays in the life in which it was. A server that cannot be reached is one finding, that of
// the connection.
func Examine(ctx context.Context, pool *pgxpool.Pool, o ExamineOptions) []checkup.Finding {
	name, err := newSchema(o.Schema)
	if err != nil {
		return []checkup.Finding{checkup.Fail("schema", "name the schema that has it", "%v", err)}
	}
	config := pool.Config()
	to := config.ConnConfig.Copy()
	to.DefaultQueryExecMode = pgx.QueryExecModeExec // a proxy may stand between
	began := time.Now()
	conn, err := connect(ctx, config, to)
	if err != nil {
		return []checkup.Finding{checkup.Fail("connection", "see whether the server runs, and whether host, port, role, password and database are right", "%v", err)}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only asked
	e := examination{conn: conn, schema: name, readModels: o.ReadModels}
	e.all = append(e.all, checkup.Fine("connection", "it took %s", time.Since(began).Round(100*time.Microsecond)))
	e.server(ctx)
	e.inSchema(ctx)
	return e.all
}

// examination is one run of [Examine].
type examination struct {
	conn       *pgx.Conn
	schema     schema
	readModels bool
	all        []checkup.Finding
}

func (e *examination) ask(check string, question func() (checkup.Finding, error)) checkup.Finding {
	found := checkup.Ask(check, question)
	e.all = append(e.all, found)
	return found
}

// row runs one of our files, which returns one row.
func (e *examination) row(ctx context.Context, file string, into ...any) error {
	text, err := sqlFiles.ReadFile("sql/" + file + ".sql")
	if err != nil {
		return err
	}
	return explain(e.conn.QueryRow(ctx, e.schema.in(string(text))).Scan(into...))
}

// inSchema examines the schema; of one that is not there, or is not for this program, nothing else can be told.
func (e *examination) inSchema(ctx context.Context) {
	usable := e.ask("schema", func() (checkup.Finding, error) {
		err := inTransaction(ctx, e.conn, pgx.ReadOnly, func(tx pgx.Tx) error { return checkSchema(ctx, tx, e.schema) })
		switch {
		case errors.Is(err, ErrNoStore) || errors.Is(err, ErrOldSchema):
			return checkup.Fail("", "bring it up to date by leftfold migrate, or postgres.Migrate, as the role that owns it", "%v", err), nil
		case errors.Is(err, ErrNewerSchema) || errors.Is(err, ErrUnsupportedServer) || errors.Is(err, ErrDenied):
			return checkup.Fail("", "see what was found", "%v", err), nil
		}
		return checkup.Fine("", "schema %s is what this program needs", e.schema), err
	})
	if usable.Level != checkup.OK {
		return
	}
	e.ask("grants", func() (checkup.Finding, error) { return e.grants(ctx) })
	if e.readModels {
		return
	}
	e.ask("append-only", func() (checkup.Finding, error) { return e.triggers(ctx) })
	e.ask("identity", func() (checkup.Finding, error) { return e.identity(ctx) })
}

const grantLess = "give programs a role of their own, with no more than postgres.Grant gives it"

func (e *examination) grants(ctx context.Context) (checkup.Finding, error) {
	var role, writes string
	var super, owner, reads, appends, projects bool
	if err := e.row(ctx, "examine_grants", &role, &super, &owner, &reads, &appends, &writes, &projects); err != nil {
		return checkup.Finding{}, err
	}
	switch {
	case e.readModels && projects:
		return checkup.Fine("", "role %s may keep read models", role), nil
	case e.readModels:
		return checkup.Warn("", "let the owner of the schema call postgres.Grant with ToProject", "role %s may not keep read models here", role), nil
	case !reads:
		return checkup.Fail("", "let the owner of the schema call postgres.Grant with ToRead", "role %s may not read the log", role), nil
	case super:
		return checkup.Warn("", grantLess, "role %s is a superuser: no trigger and no right stops its mistakes", role), nil
	case owner:
		return checkup.Warn("", grantLess, "role %s owns the log: it could remove what refuses changes of it", role), nil
	case writes != "":
		return checkup.Warn("", "revoke these rights: appends need none of them", "role %s has rights that it does not need: %s", role, writes), nil
	case !appends:
		return checkup.Warn("", "if it shall append, let the owner of the schema call postgres.Grant with ToAppend", "role %s may read the log, and not append", role), nil
	}
	return checkup.Fine("", "role %s may read and append, and write no table of the log", role), nil
}

func (e *examination) triggers(ctx context.Context) (checkup.Finding, error) {
	var enabled int
	if err := e.row(ctx, "examine_triggers", &enabled); err != nil {
		return checkup.Finding{}, err
	}
	if enabled < 4 {
		return checkup.Fail("", "enable the triggers of events, event_tags and commands, and see that session_replication_role is origin",
			"%d of 4 triggers that refuse changes of what was recorded are not at work", 4-enabled), nil
	}
	return checkup.Fine("", "changes of what was recorded are refused"), nil
}

func (e *examination) identity(ctx context.Context) (checkup.Finding, error) {
	var incarnation int
	var was string
	var is *string
	if err := e.row(ctx, "examine_identity", &incarnation, &was, &is); err != nil {
		return checkup.Finding{}, err
	}
	if is != nil && was != "" && *is != was {
		return checkup.Warn("", "the first program that opens it begins a new life of the log; then see projections list, and rebuild what has diverged",
			"the log was restored, copied or promoted since it was opened last, in incarnation %d", incarnation), nil
	}
	return checkup.Fine("", "incarnation %d; it was not restored since it was opened last", incarnation), nil
}
