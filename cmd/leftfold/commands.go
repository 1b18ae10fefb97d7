package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/leftfold/leftfold/eventstore"
)

// prune is one run of commands prune: what to forget, and where.
type prune struct {
	age    time.Duration
	older  string
	store  string
	yes    bool
	output string

	stdout, stderr io.Writer
}

const pruneHelp = `Makes a store forget the ids of old commands.

A store remembers the id of every command for ever: one that is sent again, however late, gets
its first receipt and changes nothing. For the ids that are pruned this promise is given up:
a command that is sent again under one of them is carried out A SECOND TIME. So choose
an age that no retry, no queue and no restored client can reach. What it brings is room for new
ones on disk: a small row for each append that had an id.

Events are not touched. Forgotten are the ids of the commands before the first one that is
younger, in the order of the log. Programs may go on appending meanwhile. In Postgres it needs
the role that owns the store.`

func commandsCommand(stdout, stderr io.Writer) *cobra.Command {
	commands := &cobra.Command{
		Use:   "commands",
		Short: "Look after the command ids of a store",
		RunE:  func(cmd *cobra.Command, _ []string) error { return misused(cmd, errors.New("want a verb: prune")) },
	}
	commands.AddCommand(pruneCommand(stdout, stderr))
	return commands
}

func pruneCommand(stdout, stderr io.Writer) *cobra.Command {
	p := &prune{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "prune --older-than AGE",
		Short: "Forget the ids of old commands; one that is sent again is carried out again",
		Long:  pruneHelp,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 0 {
				return misused(cmd, fmt.Errorf("unknown argument %q", args[0]))
			}
			if p.output != "text" && p.output != "json" {
				return misused(cmd, fmt.Errorf("unknown output format %q: want text or json", p.output))
			}
			if p.age, err = parseAge(p.older); err != nil {
				return misused(cmd, err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context()) },
	}
	storeFlag(cmd, &p.store)
	cmd.Flags().StringVar(&p.older, "older-than", "", "forget the ids of commands of so long ago: 90d or 2160h (required)")
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do it without asking")
	cmd.Flags().StringVarP(&p.output, "output", "o", "text", "text, or json for one object")
	return cmd
}

// parseAge reads a duration, which may be in days too.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, errors.New("say how old: --older-than 90d")
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		const day, most = 24 * time.Hour, int64(math.MaxInt64 / (24 * time.Hour))
		if n, err := strconv.ParseInt(days, 10, 64); err == nil && n > 0 && n <= most {
			return time.Duration(n) * day, nil
		}
	} else if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return age, nil
	}
	return 0, fmt.Errorf("--older-than %s is not how long ago, such as 90d or 2160h", text)
}

// pruned is the JSON form of what was done.
type pruned struct {
	Before time.Time `json:"before"`
	Pruned int64     `json:"pruned"`
}

func (p *prune) run(ctx context.Context) (err error) {
	store, err := openStore(ctx, p.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	pruner, ok := store.(eventstore.CommandPruner)
	if !ok {
		return &eventstore.UnsupportedError{Part: eventstore.Pruning}
	}
	done := pruned{Before: time.Now().Add(-p.age).UTC().Truncate(time.Second)}
	if err := p.agreed(done.Before, os.Stdin); err != nil {
		return err
	}
	if done.Pruned, err = pruner.PruneCommands(ctx, done.Before); err != nil {
		return fmt.Errorf("%w; %s command ids are forgotten, the same command line goes on", err, thousands(done.Pruned))
	}
	return p.print(done)
}

// agreed returns nil if the user wants it. Where nobody sits at a terminal, only --yes tells.
func (p *prune) agreed(before time.Time, stdin *os.File) error {
	if p.yes {
		return nil
	}
	if !term.IsTerminal(int(stdin.Fd())) {
		return &usageError{errors.New("nothing was forgotten: there is no terminal to ask at; say --yes if commands that old may be carried out a second time when they are sent again")}
	}
	return p.ask(before, stdin)
}

func (p *prune) ask(before time.Time, answers io.Reader) error {
	fmt.Fprintf(p.stderr, "The store will forget the ids of commands of before %s.\n"+
		"One of these commands that is sent again will be carried out a second time. This cannot be undone.\n"+
		"Forget them? Type yes: ", before.Format(time.RFC3339))
	answer, err := bufio.NewReader(answers).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was forgotten")
	}
	return nil
}

func (p *prune) print(done pruned) error {
	if p.output == "json" {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(done)
	}
	_, err := fmt.Fprintf(p.stdout, "Forgot %s command ids of before %s. One of these commands that is sent again will be carried out a second time.\n",
		thousands(done.Pruned), done.Before.Format(time.RFC3339))
	return err
}
