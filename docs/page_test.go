//go:build unix

// Package docs has the pages of the documentation, and tests that do what they say.
package docs_test

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is a text whose blocks are what a reader types and sees:
//
//	```console          commands, each behind "$ ", and what they print
//	```console soon     the same, repeated until it prints that
//	```console second   a program that goes on in a second terminal; ^C ends it
//	```diff FILE        an edit of a file of the module
//	```go FILE          lines of that file
type page struct {
	file   string
	text   string
	blocks []block
}

type block struct {
	language, rest string // what stands behind the backquotes
	text           string
}

// fences of blocks are not indented; what is shown may have backquotes in a line, but not at its start.
var fences = regexp.MustCompile("(?ms)^```(\\w+)(?: ([^\n]*))?\n(.*?)^```$")

func readPage(t *testing.T, file string) *page {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	p := &page{file: file, text: string(text), blocks: blocksOf(string(text))}
	require.NotEmpty(t, p.blocks)
	return p
}

func blocksOf(text string) (all []block) {
	for _, found := range fences.FindAllStringSubmatch(text, -1) {
		all = append(all, block{language: found[1], rest: found[2], text: found[3]})
	}
	return all
}

func (b block) String() string {
	first, _, _ := strings.Cut(b.text, "\n")
	return fmt.Sprintf("%s %s: %s", b.language, b.rest, first)
}

// shown is a command line with what the page shows that it prints.
type shown struct{ command, output string }

// commands are those of a block. A command that ends in a backslash goes on in the next line.
func (b block) commands() (all []shown) {
	goesOn := false
	for line := range strings.Lines(b.text) {
		typed, isCommand := strings.CutPrefix(line, "$ ")
		switch last := len(all) - 1; {
		case goesOn:
			all[last].command += line
		case isCommand:
			all = append(all, shown{command: typed})
		case line == "^C\n":
			all = append(all, shown{command: "^C\n"})
		default:
			all[last].output += line
		}
		goesOn = strings.HasSuffix(line, "\\\n")
	}
	for n := range all {
		all[n].command = strings.TrimSuffix(all[n].command, "\n")
	}
	return all
}

// write puts into the page what was printed, in the order of the page.
func (p *page) write(t *testing.T, printed []written) {
	t.Helper()
	done, rest := "", p.text
	for _, w := range printed {
		before, after, found := strings.Cut(rest, "$ "+w.command+"\n"+w.output)
		require.True(t, found, w.command)
		done, rest = done+before+"$ "+w.typed+"\n"+w.printed, after
	}
	require.NoError(t, os.WriteFile(p.file, []byte(done+rest), 0o600))
}

// written is what a command has printed, in place of what was shown.
type written struct {
	shown

	typed, printed string
}

// fails reports whether the command says that it has failed.
func (s shown) fails() bool {
	return regexp.MustCompile(`(?m)^(leftfold|shop)[a-z -]*: `).MatchString(s.output)
}

// edit is a change of a file, as a diff has it.
type edit struct{ file, before, after string }

func (b block) edit() edit {
	e := edit{file: path.Clean(b.rest)}
	for line := range strings.Lines(b.text) {
		rest := line[1:]
		if line[0] != '+' {
			e.before += rest
		}
		if line[0] != '-' {
			e.after += rest
		}
	}
	return e
}
