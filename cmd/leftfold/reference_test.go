package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/leftfold/leftfold/cli"
)

const referenceHead = `# The command line

There are two faces. **leftfold** is the tool that comes with the framework: its verbs need no more than the URL of a
store. **Your own program** mounts the others with ` + "`cli.Command`" + `, because they need its code: its folds, its
projections, its sagas. Below it is called *shop*. Verbs that both have do the same.

This page is made of the commands themselves: ` + "`LEFTFOLD_WRITE_GOLDEN=1 go test ./cmd/leftfold -run Reference`" + ` writes it.

## What all verbs have in common

Results go to standard output, everything else to standard error: bars, questions, and what went wrong, which is one line.

| code | means |
|---|---|
| 0 | it worked |
| 1 | it did not, or a check failed |
| 2 | the command line is wrong |
| 130 | it was interrupted, as by Ctrl-C |

` + "`-o table`" + ` is for people, no wider than their terminal. ` + "`-o json`" + ` is one object, ` + "`-o jsonl`" + ` an object a
line, as they come. These two are stable: a field may come, none goes or changes its meaning.
[fields.golden](../../cmd/leftfold/testdata/fields.golden) lists the fields of each verb.

A bar moves on a terminal only; elsewhere it is a line every few seconds. There is colour on a terminal only, and none where
NO_COLOR is set or TERM is dumb. A verb that destroys something asks first; where there is no terminal to ask at it
does nothing unless it is told ` + "`--yes`" + `.

` + "`leftfold completion bash`" + `, or zsh, fish, powershell, prints a script for the shell: verbs, flags, forms, and names of
read models and sagas complete.

## URLs of stores

`

// The reference is what the commands say of themselves.
func TestTheReferenceOfTheCommandLineIsAsTheCommandsAre(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString(referenceHead)
	page.WriteString(storeURLs)
	faces := []struct {
		title string
		root  *cobra.Command
	}{
		{"leftfold", root()},
		{"your own program", cli.Command((&shop{}).app())},
	}
	page.WriteString("\n## All verbs\n\n| verb | does |\n|---|---|\n")
	for _, face := range faces {
		verbs(face.root, func(verb *cobra.Command) {
			fmt.Fprintf(&page, "| [%s](#%s) | %s |\n", verb.CommandPath(), anchor(verb), inTable(verb.Short))
		})
	}
	for _, face := range faces {
		fmt.Fprintf(&page, "\n# Verbs of %s\n", face.title)
		verbs(face.root, func(verb *cobra.Command) { describe(&page, verb) })
	}
	golden(t, filepath.Join("..", "..", "docs", "reference", "cli.md"), page.String())
}

func anchor(verb *cobra.Command) string { return strings.ReplaceAll(verb.CommandPath(), " ", "-") }

// describe writes the section of a verb.
func describe(page *strings.Builder, verb *cobra.Command) {
	verb.InitDefaultHelpFlag()
	fmt.Fprintf(page, "\n## %s\n\n%s.\n\n```\n%s\n```\n", verb.CommandPath(), verb.Short, verb.UseLine())
	fmt.Fprintf(page, "\n```text\n%s\n```\n\nExamples:\n\n```sh\n", verb.Long)
	for line := range strings.SplitSeq(verb.Example, "\n") {
		fmt.Fprintln(page, strings.TrimPrefix(line, "  "))
	}
	page.WriteString("```\n\n| flag | takes | is |\n|---|---|---|\n")
	verb.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || flag.Name == "help" {
			return
		}
		takes, usage := pflag.UnquoteUsage(flag)
		if takes == "stringArray" {
			takes = "string, repeated"
		}
		name := "--" + flag.Name
		if flag.Shorthand != "" {
			name = "-" + flag.Shorthand + ", " + name
		}
		if d := flag.DefValue; d != "" && d != "0" && d != "0s" && d != "false" && d != "[]" && d != "-1" {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		fmt.Fprintf(page, "| `%s` | %s | %s |\n", name, takes, inTable(usage))
	})
}

// inTable keeps text from ending a cell of a table.
func inTable(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

const storeURLs = `| URL | is |
|---|---|
| ` + "`sqlite:FILE`" + ` | a file of adapters/sqlite |
| ` + "`postgres://…?schema=NAME`" + ` | a store of adapters/postgres in a schema, leftfold if none is named; the rest is as libpq has it: host, user, sslmode, PGPASSWORD |
| ` + "`kinesis://STREAM?index=URL&region=NAME&endpoint=URL`" + ` | a store of adapters/kinesisstore: the stream, and the store that its index is in, sqlite:FILE or postgres://…, percent-encoded; credentials, and the region and endpoint that are left out, are found as every tool of AWS does |
| ` + "`redis://…?prefix=NAME`" + ` | read models of adapters/redisstore, for --read-models and --redis: a server, one node of a Cluster, or with ` + "`master_name=NAME`" + ` a Sentinel; rediss:// is TLS |

Nothing is made by opening: what a typo names would be empty. ` + "`leftfold import`" + ` makes a file of SQLite, and ` + "`leftfold migrate`" + ` a schema of Postgres.
`
