package storecmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore/export"
)

// exporting is one run of the verb.
type exporting struct {
	store           string
	form            cli.Output
	withoutCommands bool
}

const exportHelp = `Writes the log of a store to a file: JSON, an object a line, compressed by zstd if the name ends in .zst.
FILE is - for standard output.

Everything that was recorded is in it as it was: ids, positions, versions, times, metadata, tags, payloads
byte for byte, and the ids of commands. Each line carries the sum of all lines up to it. Programs may go on
appending: the file ends where the log ended when it was begun. It comes into its place when it is whole; a
run that is killed leaves a FILE.….partial, which you may remove.

A store on Kinesis cannot tell its command ids: say --without-commands.`

func exportCommand() *cobra.Command {
	e := &exporting{}
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the log to a file",
		Long:  exportHelp,
		Example: `  leftfold export shop.jsonl.zst --store sqlite:shop.db
  leftfold export - --store postgres://localhost/shop | head -3`,
		Args: cli.OneArgument("the name of one file, or -"),
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, args[0]) },
	}
	stores.Flag(cmd, &e.store)
	cmd.Flags().BoolVar(&e.withoutCommands, "without-commands", false, "leave the command ids out; where the file is imported, a command that is sent again is carried out again")
	cli.OutputFlag(cmd, &e.form, cli.Table, cli.JSON)
	return cmd
}

func (e *exporting) run(cmd *cobra.Command, name string) error {
	return withStore(cmd.Context(), e.store, func(store stores.Store) error {
		var s export.Summary
		flow := newFlow()
		bar := cli.NewBar(cmd.ErrOrStderr(), "export", 0)
		err := writeFile(name, cmd.OutOrStdout(), func(to io.Writer) (err error) {
			s, err = export.Write(cmd.Context(), flow.into(to), store, export.Options{WithoutCommands: e.withoutCommands, Progress: flow.show(bar)})
			return err
		})
		bar.Finish(err == nil)
		if err != nil {
			return fmt.Errorf("export to %s: %w", name, err)
		}
		if name == "-" {
			return summary{"Exported", s, name, flow}.tell(cmd.ErrOrStderr(), e.form)
		}
		return summary{"Exported", s, name, flow}.tell(cmd.OutOrStdout(), e.form)
	})
}

// summary is what was done with a file.
type summary struct {
	what string
	export.Summary
	file string
	*flow
}

func (s summary) tell(out io.Writer, form cli.Output) error {
	if form == cli.JSON {
		return cli.PrintJSON(out, struct {
			Store string `json:"store"`
			export.Summary
			File    string  `json:"file"`
			Bytes   int64   `json:"bytes"` // of its lines, without compression
			Seconds float64 `json:"seconds"`
		}{s.Store.String(), s.Summary, s.file, s.bytes, time.Since(s.began).Seconds()})
	}
	_, err := fmt.Fprintf(out, "%s %s events and %s command ids of store %s (%s), %s\nSHA-256 %s\n",
		s.what, cli.Thousands(s.Events), cli.Thousands(s.Commands), s.Store, s.file, s.rates(s.Events), s.SHA256)
	return err
}
