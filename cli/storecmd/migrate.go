package storecmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
)

// migrate is one run of the verb.
type migrate struct {
	store string
	form  cli.Output
	dry   bool
}

const migrateHelp = `Brings the schema of a store in Postgres to what this release needs, in one transaction, and makes it the
first time. With --dry-run it prints the SQL of the steps that are missing, and does nothing.

The role needs the right to create the schema, and owns what it makes. A file of SQLite needs no such call:
it is brought up to date when it is opened.`

func migrateCommand() *cobra.Command {
	m := &migrate{}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of a Postgres store up to date",
		Long:  migrateHelp,
		Example: `  leftfold migrate --store postgres://localhost/shop --dry-run
  leftfold migrate --store 'postgres://localhost/shop?schema=orders'`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.run(cmd) },
	}
	stores.Flag(cmd, &m.store)
	cmd.Flags().BoolVar(&m.dry, "dry-run", false, "print the SQL and do nothing")
	cli.OutputFlag(cmd, &m.form, cli.Table, cli.JSON)
	return cmd
}

// migrated is the JSON form.
type migrated struct {
	DryRun bool   `json:"dry_run"`
	Steps  []step `json:"steps"`
}

type step struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	SQL    string `json:"sql,omitempty"` // of a dry run
}

func (m *migrate) run(cmd *cobra.Command) error {
	if !stores.IsPostgres(m.store) {
		return cli.Misused(cmd, errors.New("say which store in Postgres: --store postgres://…; one of SQLite is brought up to date when it is opened"))
	}
	config, schema, err := stores.Postgres(m.store)
	if err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(cmd.Context(), config)
	if err != nil {
		return err
	}
	defer pool.Close()
	steps, err := postgres.Migrate(cmd.Context(), pool, postgres.MigrateOptions{Schema: schema, DryRun: m.dry})
	if err != nil {
		return err
	}
	return m.print(cmd.OutOrStdout(), steps)
}

func (m *migrate) print(out io.Writer, steps []postgres.Migration) error {
	if m.form == cli.JSON {
		done := migrated{m.dry, []step{}}
		for _, s := range steps {
			if !m.dry {
				s.SQL = ""
			}
			done.Steps = append(done.Steps, step{s.Number, s.Name, s.SQL})
		}
		return cli.PrintJSON(out, done)
	}
	if len(steps) == 0 {
		_, err := fmt.Fprintln(out, "-- The schema is up to date.")
		return err
	}
	for _, s := range steps {
		var err error
		if m.dry {
			_, err = fmt.Fprintf(out, "-- Step %d: %s\nBEGIN;\n%s\nCOMMIT;\n", s.Number, s.Name, s.SQL)
		} else {
			_, err = fmt.Fprintf(out, "Step %d: %s\n", s.Number, s.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
