package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// How long a test waits for what must come, and how often it looks.
const (
	waits = time.Minute
	looks = 20 * time.Millisecond
)

// runs runs a command line in this process.
func runs(ctx context.Context, root *cobra.Command, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, root, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// face is one of the two roots that people meet. A root is made anew for each run, because its flags keep their values.
type face struct {
	root func() *cobra.Command
	// lines are a right command line for each verb, in an order in which all of them work.
	lines [][]string
}

func (f face) run(ctx context.Context, args ...string) ran { return runs(ctx, f.root(), args...) }

// verbs calls do for each verb.
func verbs(root *cobra.Command, do func(verb *cobra.Command)) {
	for _, one := range root.Commands() {
		switch {
		case one.Hidden || one.Name() == "help" || one.Name() == "completion":
		case one.HasAvailableSubCommands():
			verbs(one, do)
		default:
			do(one)
		}
	}
}

// line returns the right command line for a verb: its name, and what follows.
func (f face) line(verb *cobra.Command) (name, rest []string, ok bool) {
	path := strings.Fields(verb.CommandPath())[1:]
	for _, line := range f.lines {
		if len(line) >= len(path) && strings.Join(line[:len(path)], " ") == strings.Join(path, " ") {
			return path, line[len(path):], true
		}
	}
	return path, nil, false
}

// faces are both, over one store.
func faces(t testing.TB) map[string]face {
	t.Helper()
	s := newShop(t)
	at := []string{"--store", "sqlite:" + s.file()}
	of := func(line ...string) []string { return append(line, at...) }
	exported := filepath.Join(s.dir, "shop.jsonl")
	newer := shop{s.dir, 3}
	return map[string]face{
		"leftfold": {root, [][]string{
			of("streams"), of("stream", "show", "order-1"), of("events"), of("tail"), of("trace", told(t, s, "events", "--type", "order.spoiled")), of("schema", "census"),
			of("projections", "list"), of("dead-letters", "list"), of("sagas", "list"), of("sagas", "show", "greeter", told(t, s, "sagas", "list", "greeter")),
			of("bench", "--runs", "1", "--for", "1ms", "--events", "100"),
			of("timers"), of("lag"), of("top", "--for", "1ns"), of("doctor"),
			of("export", exported), {"backup", "verify", exported}, {"import", exported, "--store", "sqlite:" + filepath.Join(s.dir, "copy.db")},
			of("commands", "prune", "--older-than", "1d", "--yes"),
			of("projections", "pause", "orders"), of("projections", "resume", "orders"),
			of("projections", "rollback", "orders"), of("projections", "retire", "orders@2", "--yes"),
			{"migrate", "--store", "postgres://127.0.0.1:1/shop"}, of("append", "order-3", "--type", "order.noted", "--data", "{}"),
		}},
		"shop": {func() *cobra.Command { return cli.Command(newer.app()) }, [][]string{
			{"state-at", "order-1"}, {"diff", "order-1"}, {"projections", "list"}, {"dead-letters", "list"}, {"sagas", "list"},
			{"sagas", "show", "greeter", told(t, s, "sagas", "list", "greeter")}, {"timers"}, {"lag"}, {"top", "--for", "1ns"},
			{"projections", "pause", "orders"}, {"projections", "resume", "orders"}, {"projections", "rebuild", "orders"},
			{"dead-letters", "retry", "orders", "--all"}, {"dead-letters", "skip", "orders", "--all", "--yes"},
			{"projections", "rollback", "orders"}, {"projections", "retire", "orders@3", "--yes"},
			{"sagas", "resume", "once", told(t, s, "sagas", "list", "once")}, {"work"},
		}},
	}
}

// told is the first id that a verb tells.
func told(t testing.TB, s *shop, verb ...string) string {
	t.Helper()
	r := runs(t.Context(), root(), append(verb, "--store", "sqlite:"+s.file(), "-o", "jsonl")...)
	_, behind, ok := strings.Cut(r.stdout, `"id":"`)
	require.True(t, ok, r.stderr)
	id, _, _ := strings.Cut(behind, `"`)
	return id
}

// refusesInOneLine checks what every error is like: nothing on stdout, one line on stderr that begins with the program.
func refusesInOneLine(t *testing.T, r ran, code int, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	assert.Equal(t, code, r.code, "%s: %s", line, r.stderr)
	assert.Empty(t, r.stdout, line)
	assert.Equal(t, 1, strings.Count(r.stderr, "\n"), "%s: %q", line, r.stderr)
	assert.Regexp(t, `^(leftfold|shop)[a-z -]*: .{10,}\n$`, r.stderr, line)
	assert.NotRegexp(t, `panic|goroutine|\.go:\d|nil pointer|%!`, r.stderr, line)
	if code == cli.ExitUsage {
		assert.Contains(t, r.stderr, "--help' to see what there is.", line)
	}
}

func TestEachVerbHasAHelpWithExamplesThatParse(t *testing.T) {
	t.Parallel()
	for _, newRoot := range []func() *cobra.Command{root, func() *cobra.Command { return cli.Command((&shop{}).app()) }} {
		verbs(newRoot(), func(verb *cobra.Command) {
			path := verb.CommandPath()
			assert.NotEmpty(t, verb.Short, path)
			assert.NotEmpty(t, verb.Long, path)
			require.NotEmpty(t, verb.Example, path)
			r := runs(t.Context(), newRoot(), append(strings.Fields(path)[1:], "--help")...)
			assert.Equal(t, cli.ExitOK, r.code, path)
			assert.Empty(t, r.stderr, path)
			assert.Contains(t, r.stdout, "Examples:\n"+verb.Example, path)
			for example := range strings.SplitSeq(verb.Example, "\n") {
				parses(t, newRoot(), path, example)
			}
		})
	}
}

// parses checks that a line of an example is one of that verb.
func parses(t *testing.T, root *cobra.Command, path, example string) {
	t.Helper()
	words := shellWords(example)
	if _, behind, piped := strings.Cut(example, "| "+root.Name()); piped {
		words = shellWords(root.Name() + behind)
	}
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return
	}
	require.Equal(t, root.Name(), words[0], example)
	verb, rest, err := root.Find(words[1:])
	require.NoError(t, err, example)
	require.Equal(t, path, verb.CommandPath(), example)
	require.NoError(t, verb.ParseFlags(rest), example)
	require.NoError(t, verb.ValidateArgs(verb.Flags().Args()), example)
}

// shellWords splits a line as a shell does, up to a pipe or a redirection.
func shellWords(line string) (words []string) {
	var word strings.Builder
	var quote rune
	inWord := false
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ':
			end()
		case r == '|' || r == '>' || r == '<':
			end()
			return words
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	end()
	return words
}

func TestAnExampleThatDoesNotParseIsFound(t *testing.T) {
	t.Parallel()
	verb := &cobra.Command{Use: "show"}
	verb.Flags().Int("limit", 1, "")
	root := &cobra.Command{Use: "leftfold"}
	root.AddCommand(verb)
	for _, wrong := range []string{"show --limits 1", "show --limit x"} {
		found, rest, err := root.Find(shellWords("leftfold " + wrong)[1:])
		require.NoError(t, err)
		require.Error(t, found.ParseFlags(rest), wrong)
	}
	assert.Equal(t, []string{"leftfold", "trace", "a b", "c"}, shellWords(`  leftfold trace "a b" 'c' | head`))
}

func TestEachVerbRefusesWhatIsWrongInOneLine(t *testing.T) {
	t.Parallel()
	for name, f := range faces(t) {
		verbs(f.root(), func(verb *cobra.Command) {
			path, rest, known := f.line(verb)
			refused := func(code int, args ...string) {
				refusesInOneLine(t, f.run(t.Context(), args...), code, args)
			}
			with := func(more ...string) []string { return append(append(append([]string{}, path...), rest...), more...) }
			refused(cli.ExitUsage, append(path, "--no-such-flag")...)
			if verb.Flags().Lookup("output") != nil {
				refused(cli.ExitUsage, append(path, "-o", "xml")...)
			} else {
				assert.Contains(t, printNothing, path[len(path)-1], "%s prints results, and has no -o", verb.CommandPath())
			}
			if !known {
				assert.Contains(t, []string{"demo"}, verb.Name(), "%s: add a line for it to faces", verb.CommandPath())
				return
			}
			refused(cli.ExitUsage, with("one", "too", "many")...)
			if required.MatchString(verb.Use) {
				refused(cli.ExitUsage, append(path, withoutArguments(verb, rest)...)...)
			}
			verb.Flags().VisitAll(func(flag *pflag.Flag) {
				switch flag.Value.Type() {
				case "int", "int64", "uint", "float64":
					refused(cli.ExitUsage, with("--"+flag.Name+"=-7")...)
					refused(cli.ExitUsage, with("--"+flag.Name+"=many")...)
				case "duration":
					refused(cli.ExitUsage, with("--"+flag.Name+"=-7s")...)
				}
			})
			if name == "leftfold" && verb.Flags().Lookup("store") != nil {
				refused(cli.ExitUsage, with("--store", "")...)
				refused(cli.ExitUsage, with("--store", "mysql://x")...)
				refused(cli.ExitUsage, with("--store", "postgres://[/x")...)
			}
		})
	}
}

// required is in the use of a verb that cannot be without its arguments.
var required = regexp.MustCompile(`^[a-z-]+ [A-Z]`)

// printNothing are the verbs without results.
var printNothing = []string{"work"}

// withoutArguments returns the flags of a line.
func withoutArguments(verb *cobra.Command, rest []string) (flags []string) {
	for n := 0; n < len(rest); n++ {
		name, isFlag := strings.CutPrefix(rest[n], "--")
		if !isFlag {
			continue
		}
		flags = append(flags, rest[n])
		if flag := verb.Flags().Lookup(name); flag != nil && flag.NoOptDefVal == "" {
			n++
			flags = append(flags, rest[n])
		}
	}
	return flags
}

func TestAStoreThatIsNotThereIsTold(t *testing.T) {
	t.Parallel()
	for _, f := range []face{faces(t)["leftfold"]} {
		verbs(f.root(), func(verb *cobra.Command) {
			path, rest, known := f.line(verb)
			if !known || verb.Flags().Lookup("store") == nil || slices.Contains([]string{"import", "bench", "doctor"}, verb.Name()) {
				return // two make files of their own, and the doctor prints what it has found
			}
			nowhere := append(append(append([]string{}, path...), rest...), "--store", "postgres://app:secret@127.0.0.1:1/shop")
			r := f.run(t.Context(), nowhere...)
			refusesInOneLine(t, r, cli.ExitFailed, nowhere)
			assert.NotContains(t, r.stderr, "secret")
			if verb.Name() == "migrate" {
				return
			}
			nowhere = append(append(append([]string{}, path...), rest...), "--store", "sqlite:"+filepath.Join(t.TempDir(), "nowhere.db"))
			r = f.run(t.Context(), nowhere...)
			refusesInOneLine(t, r, cli.ExitFailed, nowhere)
			assert.Contains(t, r.stderr, "(--store)")
		})
	}
	closed := func() *cobra.Command { return cli.Command((&shop{}).app()) }
	verbs(closed(), func(verb *cobra.Command) {
		f := face{closed, [][]string{{"state-at", "a-1"}, {"diff", "a-1"}, {"sagas", "show", "a", "b"}, {"sagas", "resume", "a", "b"},
			{"projections", "pause", "a"}, {"projections", "resume", "a"}, {"projections", "rebuild", "a"}, {"projections", "rollback", "a"}, {"projections", "retire", "a@1"},
			{"dead-letters", "retry", "a", "b"}, {"dead-letters", "skip", "a", "b"}}}
		path, rest, _ := f.line(verb)
		line := slices.Concat(path, rest)
		r := f.run(t.Context(), line...)
		refusesInOneLine(t, r, cli.ExitFailed, line)
		assert.Contains(t, r.stderr, "open shop: the shop has no file")
	})
}

// Package cli lists the codes.
func TestEachExitCodeIsShownByARun(t *testing.T) {
	t.Parallel()
	f := faces(t)["leftfold"]
	at := f.lines[0][1:]
	of := func(line ...string) []string { return append(line, at...) }
	assert.Equal(t, cli.ExitOK, f.run(t.Context(), of("streams")...).code)
	for _, failed := range [][]string{of("stream", "show", "order-99"), of("sagas", "show", "greeter", "nobody"), of("projections", "pause", "nothing")} {
		refusesInOneLine(t, f.run(t.Context(), failed...), cli.ExitFailed, failed)
	}
	wrong := []string{"dance"}
	refusesInOneLine(t, f.run(t.Context(), wrong...), cli.ExitUsage, wrong)
	for _, wrong := range [][]string{{"projections"}, {"projections", "dance"}, {"help", "dance"}, {"completion"}, {"completion", "csh"}, {"tial"}} {
		refusesInOneLine(t, f.run(t.Context(), wrong...), cli.ExitUsage, wrong)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	r := f.run(ctx, of("streams")...)
	assert.Equal(t, cli.ExitInterrupted, r.code)
	assert.Equal(t, "leftfold: interrupted; nothing is lost: run the same command again to go on\n", r.stderr)
}
