package cli

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// fitHelp has the help of every verb fit so many columns.
func fitHelp(root *cobra.Command, columns int) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", fmt.Sprintf(".FlagUsagesWrapped %d |", columns)))
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		long := cmd.Long
		cmd.Long = paragraphs(long, columns)
		help(cmd, args)
		cmd.Long = long
	})
}

const mostReadable = 100 // columns; longer lines are hard to read

// paragraphs fills lines anew. Those that begin with a space stay as they are: lists, and things to copy.
func paragraphs(said string, columns int) string {
	var lines []string
	open := "" // the paragraph that has not ended yet
	end := func() {
		if open != "" {
			for line := range strings.SplitSeq(text.WrapSoft(open, min(columns, mostReadable)), "\n") {
				lines = append(lines, strings.TrimRight(line, " "))
			}
		}
		open = ""
	}
	for line := range strings.SplitSeq(said, "\n") {
		switch {
		case line == "" || line[0] == ' ':
			end()
			lines = append(lines, line)
		case open == "":
			open = line
		default:
			open += " " + line
		}
	}
	end()
	return strings.Join(lines, "\n")
}
