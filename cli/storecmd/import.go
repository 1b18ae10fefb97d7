package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/export"
)

// importing is one run of the verb.
type importing struct {
	store string
	form  cli.Output
}

const importHelp = `Reads a file that leftfold export wrote into an empty store, which becomes the store that was exported. A
file for --store sqlite: is made if there is none; a schema in Postgres is made by leftfold migrate.

The file is verified before anything is imported: one that was changed or cut off is refused with its line. From
standard input (FILE is -) it is verified on the way. Nobody can append before all of it is there.
An import that was broken off, as by kill -9, goes on when the same command line is run again. If the store has
all of the file already, that is said, and nothing is changed.

It is the same log in a new incarnation: read models that were built from it are taken for what they are if they
come along, and tokens of before are refused. Programs that had the empty store open must be started again. In
Postgres it needs the role that owns the store.`

func importCommand() *cobra.Command {
	i := &importing{}
	cmd := &cobra.Command{
		Use:     "import FILE",
		Short:   "Read an exported log into an empty store",
		Long:    importHelp,
		Example: "  leftfold import shop.jsonl.zst --store postgres://localhost/shop",
		Args:    cli.OneArgument("the name of one file, or -"),
		RunE:    func(cmd *cobra.Command, args []string) error { return i.run(cmd, args[0]) },
	}
	stores.Flag(cmd, &i.store)
	cli.OutputFlag(cmd, &i.form, cli.Table, cli.JSON)
	return cmd
}

func (i *importing) run(cmd *cobra.Command, name string) (err error) {
	ctx := cmd.Context()
	if err := stores.Check(i.store); err != nil {
		return err
	}
	if name != "-" {
		if _, _, err := verified(cmd, name); err != nil {
			return fmt.Errorf("nothing was imported: %w", err)
		}
	}
	store, err := stores.OpenOrCreate(ctx, i.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	target, ok := store.(export.Target)
	if !ok {
		return &eventstore.UnsupportedError{Part: eventstore.Importing}
	}
	s, flow, err := withFile(cmd, name, "import", func(from io.Reader, progress export.Progress) (export.Summary, error) {
		return export.Import(ctx, target, from, progress)
	})
	switch {
	case errors.Is(err, eventstore.ErrNotEmpty):
		return fmt.Errorf("%w; a log is imported into a new file, or a new schema", err)
	case err != nil:
		return err
	}
	what := "Imported"
	if s.Already {
		what = "It has been imported already: compared"
	}
	return summary{what, s, name, flow}.tell(cmd.OutOrStdout(), i.form)
}

// verified reads the whole file.
func verified(cmd *cobra.Command, name string) (export.Summary, *flow, error) {
	return withFile(cmd, name, "verify", func(from io.Reader, progress export.Progress) (export.Summary, error) {
		return export.Verify(cmd.Context(), from, progress)
	})
}

func withFile(cmd *cobra.Command, name, title string, do func(io.Reader, export.Progress) (export.Summary, error)) (s export.Summary, f *flow, err error) {
	f = newFlow()
	bar := cli.NewBar(cmd.ErrOrStderr(), title, 0)
	err = readFile(name, cmd.InOrStdin(), func(from io.Reader) (err error) {
		s, err = do(f.from(from), f.show(bar))
		return err
	})
	bar.Finish(err == nil)
	if err != nil {
		err = fmt.Errorf("%s %s: %w", title, name, err)
	}
	return s, f, err
}

func backupCommand() *cobra.Command {
	return cli.Group("backup", "Look after exported files", backupVerifyCommand())
}

func backupVerifyCommand() *cobra.Command {
	var form cli.Output
	cmd := &cobra.Command{
		Use:     "verify FILE",
		Short:   "Check that an exported file is as it was written",
		Long:    "Reads a file that leftfold export wrote, checks every line against its sum and the numbers at the end, and says what is in it. It needs no store.",
		Example: "  leftfold backup verify shop.jsonl.zst",
		Args:    cli.OneArgument("the name of one file, or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, flow, err := verified(cmd, args[0])
			if err != nil {
				return err
			}
			return summary{"Found", s, args[0], flow}.tell(cmd.OutOrStdout(), form)
		},
	}
	cli.OutputFlag(cmd, &form, cli.Table, cli.JSON)
	return cmd
}
