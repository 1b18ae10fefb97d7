package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
)

// doctor is one run of the verb.
type doctor struct {
	store, readModels, redis string
	form                     cli.Output
}

const doctorHelp = `Looks whether what a store and its read models stand on is fit for that, and says what to do where it is not:

Postgres  version, fsync, full_page_writes, synchronous_commit (of roles and databases too), standbys, timeouts,
          connections, a proxy such as PgBouncer, the clock, the schema, what the role may do, the triggers that
          keep the log as it is, and whether the log was restored
SQLite    the disk and its file system, permissions, the write-ahead log, the schema, and every page of the file
Kinesis   the stream, for how long it keeps records, how far its index is behind; and what the index is in
Redis     version, eviction, persistence, memory, role and replicas, the clock; each master of a Cluster

It changes nothing. Each check is ok, a warning, FAILED, or COULD NOT CHECK: a question that failed is no
evidence that all is well. The code is 1 if a check failed or could not be made, and 0 with warnings.

Run it as the role, and from the machine, of the program that it is about.`

func doctorCommand() *cobra.Command {
	d := &doctor{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "See whether servers, files and roles are fit for what they keep",
		Long:  doctorHelp,
		Example: `  leftfold doctor --store postgres://app@localhost/shop --redis redis://localhost
  leftfold doctor --store sqlite:shop.db -o json`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd) },
	}
	stores.Flag(cmd, &d.store)
	cmd.Flags().StringVar(&d.readModels, "read-models", "", "URL of read models that are not where the store is: sqlite:FILE, postgres://… or redis://…")
	cmd.Flags().StringVar(&d.redis, "redis", "", "URL of a Redis: redis://…")
	cli.OutputFlag(cmd, &d.form, cli.Table, cli.JSON, cli.JSONLines)
	return cmd
}

// diagnosis is a finding about the store or another thing that was named, for programs.
type diagnosis struct {
	Of string `json:"of"` // store, index (of a stream), read-models or redis
	checkup.Finding
}

// diagnoses is the JSON form.
type diagnoses struct {
	Worst    checkup.Level `json:"worst"`
	Findings []diagnosis   `json:"findings"`
}

func (d *doctor) run(cmd *cobra.Command) error {
	if d.store == "" && d.readModels == "" && d.redis == "" {
		return cli.Misused(cmd, errors.New("say what to look at: --store, --read-models or --redis with a URL"))
	}
	var all []diagnosis
	for _, one := range d.named() {
		findings, err := examine(cmd.Context(), one.of, one.at)
		if err == nil {
			err = cmd.Context().Err()
		}
		if err != nil {
			return err
		}
		for _, f := range findings {
			all = append(all, diagnosis{one.of, f})
		}
	}
	if err := d.print(cmd.OutOrStdout(), all); err != nil {
		return err
	}
	return unfit(all)
}

// looked is what a flag names, or the index of a stream that a flag names.
type looked struct{ of, at string }

func (d *doctor) named() (all []looked) {
	for _, one := range []looked{{"store", d.store}, {"index", ""}, {"read-models", d.readModels}, {"redis", d.redis}} {
		if one.of == "index" && stores.IsKinesis(d.store) {
			k, _ := stores.ParseKinesis(d.store) // what is wrong with it was told of the store
			one.at = k.Index
		}
		if one.at != "" {
			all = append(all, one)
		}
	}
	return all
}

// examine looks at what a URL leads to; of is the flag that it was given by.
func examine(ctx context.Context, of, at string) ([]checkup.Finding, error) {
	if stores.IsRedis(at) && of != "store" {
		return examineRedis(ctx, at)
	}
	if of == "redis" {
		return nil, cli.Usagef("unknown redis %q: want redis://… or rediss://… (--redis)", stores.WithoutPassword(at))
	}
	if stores.IsKinesis(at) && of == "store" {
		k, err := stores.ParseKinesis(at)
		if err != nil {
			return nil, err
		}
		return k.Examine(ctx)
	}
	if file, isFile := stores.SQLiteFile(at); isFile {
		return sqlite.Examine(ctx, file), nil
	}
	if !stores.IsPostgres(at) {
		return nil, stores.Unknown(of, at)
	}
	config, schema, err := stores.Postgres(at)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return postgres.Examine(ctx, pool, postgres.ExamineOptions{Schema: schema, ReadModels: of == "read-models"}), nil
}

func examineRedis(ctx context.Context, at string) ([]checkup.Finding, error) {
	client, _, err := stores.Redis(ctx, at)
	var usage *cli.UsageError
	switch {
	case errors.As(err, &usage):
		return nil, err
	case err != nil:
		return []checkup.Finding{checkup.Fail("connection", "see whether Redis runs, and whether address, user and password are right", "%v", err)}, nil
	}
	defer func() { _ = client.Close() }() // it was only asked
	return redisstore.Examine(ctx, client), nil
}

// results are how people read a level.
var results = map[checkup.Level]string{checkup.OK: "ok", checkup.Warning: "warning", checkup.Failed: "FAILED", checkup.Unknown: "COULD NOT CHECK"}

func (d *doctor) print(out io.Writer, all []diagnosis) error {
	switch d.form {
	case cli.JSON:
		var findings []checkup.Finding
		for _, one := range all {
			findings = append(findings, one.Finding)
		}
		return cli.PrintJSON(out, diagnoses{checkup.Worst(findings), all})
	case cli.JSONLines:
		lines := cli.NewEncoder(out)
		for _, one := range all {
			if err := lines.Encode(one); err != nil {
				return err
			}
		}
		return nil
	}
	of := ""
	for _, one := range all {
		if one.Of != of {
			of = one.Of
			fmt.Fprintf(out, "\n%s\n", of)
		}
		fmt.Fprintf(out, "  %-9s %s: %s\n", results[one.Level], one.Check, cli.Printable(one.Says))
		if one.Advice != "" {
			fmt.Fprintf(out, "  %-9s -> %s\n", "", cli.Printable(one.Advice))
		}
	}
	return nil
}

// unfit is the error of checks that failed or could not be made.
func unfit(all []diagnosis) error {
	var failed, unknown []string
	for _, one := range all {
		switch one.Level {
		case checkup.Failed:
			failed = append(failed, one.Of+": "+one.Check)
		case checkup.Unknown:
			unknown = append(unknown, one.Of+": "+one.Check)
		}
	}
	switch {
	case len(failed) > 0 && len(unknown) > 0:
		return fmt.Errorf("checks failed (%s), and some could not be made (%s)", strings.Join(failed, ", "), strings.Join(unknown, ", "))
	case len(failed) > 0:
		return fmt.Errorf("checks failed (%s)", strings.Join(failed, ", "))
	case len(unknown) > 0:
		return fmt.Errorf("checks could not be made (%s)", strings.Join(unknown, ", "))
	}
	return nil
}
