// Package importcmd is the verb import of the shop: the shop as one service, on one file, with every row
// of an export of the till. What it does is in the packages order, returns and inventory, which decide,
// in sales, which looks at the whole, and in app, which puts them together.
package importcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/query"
)

// verb is one run of the import: what was asked for, and where it prints.
type verb struct {
	dir    string
	files  []string
	output cli.Output
	check  bool

	stdout, stderr io.Writer
}

const help = `Runs the shop as one service, on the real orders of an online gift retailer, in this process
and on one SQLite file: no server, no network.

Every row of the export becomes part of a command, commands become events, events
become read models while the import runs, and queries answer from them. Then the whole
log is replayed into a second read model and both are compared, row by row.

A second run on the same --dir goes on where the first ended: what was imported stays,
and importing it again changes nothing. So does a run after kill -9.`

// Command returns the verb.
func Command() *cobra.Command {
	v := &verb{}
	cmd := &cobra.Command{
		Use:     "import",
		Short:   "The shop as one service, with all rows of the invoices",
		Long:    help,
		Example: "  shop import --check",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Misused(cmd, fmt.Errorf("unexpected argument %q; give files with --data", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			v.stdout, v.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return v.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&v.dir, "dir", "shop-data", "directory of the SQLite files; created if missing")
	cmd.Flags().StringArrayVar(&v.files, "data", nil, "CSV export to import instead of the bundled one; may be repeated")
	cmd.Flags().BoolVar(&v.check, "check", false, "exit with 1 if any check does not hold")
	cli.OutputFlag(cmd, &v.output, cli.Table, cli.JSON)
	return cmd
}

// run imports, answers, replays and verifies. The order of the steps is the order in
// which a reader of the output meets the ideas.
func (v *verb) run(ctx context.Context) error {
	exports, err := openExports(ctx, v.files)
	if err != nil {
		return err
	}
	defer exports.close()
	if err := os.MkdirAll(v.dir, 0o755); err != nil {
		return fmt.Errorf("cannot use the directory %s: %w; choose another with --dir", v.dir, err)
	}
	path := filepath.Join(v.dir, "shop.db")
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return fmt.Errorf("open the shop in the directory %s (--dir): %w", v.dir, err)
	}
	defer store.Close(context.WithoutCancel(ctx)) // everything was acknowledged before
	shop := app.New(store, store.Sink())

	var result result
	err = whileProjecting(ctx, shop, func(ctx context.Context) (err error) {
		if result.imported, err = v.importAll(ctx, shop, exports); err != nil {
			return err
		}
		head, err := store.Head(ctx) // what this run imported, and whatever was there before
		if err != nil {
			return err
		}
		result.answers, err = ask(ctx, shop, head)
		return err
	})
	if err != nil {
		return err
	}
	if result.replayed, err = v.replay(ctx, shop, store); err != nil {
		return err
	}
	if result.findings, err = verify(ctx, shop, result); err != nil {
		return err
	}
	if err := v.print(result, path); err != nil {
		return err
	}
	return v.verdict(result)
}

// verdict turns what was found into an exit code.
func (v *verb) verdict(r result) error {
	if len(r.imported.broken) > 0 {
		return fmt.Errorf("malformed CSV: %w", errors.Join(r.imported.broken...))
	}
	if v.check && len(r.findings) > 0 {
		return fmt.Errorf("check failed: %w", errors.Join(r.findings...))
	}
	return nil
}

// whileProjecting keeps the shop's views up to date during do. If the projections
// fail, do is stopped and their error is returned: it is the cause.
func whileProjecting(ctx context.Context, shop *app.App, do func(ctx context.Context) error) error {
	// After this the views exist, so a query can wait for them, and have what an earlier
	// run left undone.
	if err := shop.Projections().CatchUp(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := shop.Projections().Run(ctx); err != nil {
			stop(err)
		}
	}()
	err := do(ctx)
	cause := context.Cause(ctx)
	stop(nil)
	<-ended
	if err != nil && cause != nil {
		return cause
	}
	return err
}

// imported is what the import did.
type imported struct {
	app.Report
	rejections []rejection
	broken     []error
	took       time.Duration
}

// rejection is a rejected row and the file it is in.
type rejection struct {
	File string `json:"file"`
	app.Rejection
}

func (v *verb) importAll(ctx context.Context, shop *app.App, exports exports) (sum imported, err error) {
	start := time.Now()
	for _, export := range exports {
		report, err := v.importOne(ctx, shop, export)
		sum.add(export, report)
		if err != nil {
			return sum, fmt.Errorf("%s: %w", export.name, err)
		}
	}
	sum.took = time.Since(start)
	return sum, nil
}

func (v *verb) importOne(ctx context.Context, shop *app.App, export *export) (app.Report, error) {
	bar := cli.NewBar(v.stderr, "import "+export.name, export.size)
	goesOn := false // where an earlier import had ended
	report, err := shop.Import(ctx, export.reader, func(r app.Report) {
		if r.Repeated > 0 && r.Appended > 0 && !goesOn {
			goesOn = true
			bar.Sayf("%s rows had been imported before, going on from there", cli.Thousands(r.Rows-r.Appended))
		}
		bar.Set(export.read.n, fmt.Sprintf("%s rows, %s rejected", cli.Thousands(r.Rows), cli.Thousands(len(r.Rejected))))
	})
	bar.Finish(err == nil)
	switch {
	case err != nil:
	case export.read.n == 0:
		fmt.Fprintf(v.stderr, "%s is empty: there was nothing to import\n", export.name)
	case report.Rows == 0:
		fmt.Fprintf(v.stderr, "%s has no rows: there was nothing to import\n", export.name)
	}
	return report, err
}

func (s *imported) add(export *export, report app.Report) {
	s.Rows += report.Rows
	s.Accepted += report.Accepted
	s.Groups += report.Groups
	s.Repeated += report.Repeated
	s.Appended += report.Appended
	for _, rejected := range report.Rejected {
		s.rejections = append(s.rejections, rejection{export.name, rejected})
	}
	for _, line := range export.reader.Broken() {
		s.broken = append(s.broken, fmt.Errorf("%s: line %d: %w: its row was rejected and all others were imported; correct the quotes and import the file again", export.name, line.Line, line.Err))
	}
}

// verify returns what does not hold. Its error says that the log cannot be read as it
// is, whatever the numbers.
func verify(ctx context.Context, shop *app.App, r result) (findings []error, err error) {
	totals, events, err := shop.Audit(ctx)
	if err != nil {
		return nil, err
	}
	found := func(format string, args ...any) { findings = append(findings, fmt.Errorf(format, args...)) }
	if sum := r.imported.Accepted + len(r.imported.rejections); sum != r.imported.Rows {
		found("accepted + rejected is %d, there were %d rows", sum, r.imported.Rows)
	}
	if asked := int64(r.answers.through); events != asked || events != int64(r.replayed.events) {
		found("the log went from %d events to %d while it was checked: if another process imports into it, run this again when that is done", asked, events)
		return findings, nil // the rest would compare different states of the log
	}
	if r.replayed.same != nil {
		found("the replay: %w", r.replayed.same)
	}
	if !reflect.DeepEqual(totals, r.answers.totals) {
		found("the views say %+v, the log says %+v", r.answers.totals, totals)
	}
	return findings, nil
}

// ask puts the questions whose answers the import prints. They include everything up to
// the head of the log.
func ask(ctx context.Context, shop *app.App, head eventstore.Token) (answers, error) {
	a := answers{through: head.Position}
	fresh := []query.AskOption{query.After(head), query.Wait(time.Minute)}
	var err error
	if a.totals, err = query.Ask[app.Totals](ctx, shop.Queries, app.GetTotals{}, fresh...); err != nil {
		return a, err
	}
	return a, a.askForTables(ctx, shop, fresh)
}
