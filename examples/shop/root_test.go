package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

func TestAWrongCommandLineIsExplainedInOneLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, says string }{
		{"dance", `shop: unknown command "dance"`},
		{"order now", `shop order: unknown argument "now"`},
		{"order --service orders=http://localhost:1", "want the name of a service and its URL"},
		{"work --only orders", "shop work: --only orders: there is no such service; there are order, payment, inventory, shipping, gateway"},
		{"all --shared-db", "shop all: --shared-db needs the --postgres that is shared"},
		{"all --shared-db --postgres postgres:// --choreographed", "give one of them"},
		{"all --shared-db --postgres postgres:// --redis redis://x", "leave out --redis"},
		{"payment --decline-percent 101", "a percentage no more than 100"},
		{"payment --slow -1s", "a fault is no less than nothing"},
		{"order --lease -1s", "--lease is no less than 0"},
		{"feed --stock 0", "--stock is 1 at least"},
		{"books -o xml", `unknown output format "xml": want table or json`},
		{"order --feed-to sns:orders", `shop order: --feed-to "sns:orders": want kinesis://STREAM or eventbridge://BUS`},
		{"order --feed-to kinesis://a/b", "want kinesis://STREAM"},
		{"order --feed-to eventbridge://", "want eventbridge://BUS"},
		{"order --feed-to eventbridge://a?zone=b", "unknown parameter zone"},
		{"order --feed-to eventbridge://a?endpoint=b", "say which region of AWS"},
	} {
		var out, said bytes.Buffer
		code := cli.Run(t.Context(), root(), strings.Fields(c.args), &out, &said)
		assert.Equal(t, cli.ExitUsage, code, c.args)
		assert.Contains(t, said.String(), c.says)
		assert.Equal(t, 1, strings.Count(said.String(), "\n"), "it says so in one line: %s", &said)
		assert.Empty(t, out.String())
	}
}

func TestWithoutAVerbTheHelpSaysWhatToDoFirst(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}} {
		var out, said bytes.Buffer
		assert.Equal(t, cli.ExitOK, cli.Run(t.Context(), root(), args, &out, &said))
		assert.Empty(t, said.String())
		assert.Contains(t, out.String(), "shop all ")
		assert.Contains(t, out.String(), "shop feed --orders 50")
	}
}

// What the guide to AWS has the containers of a service do are verbs with flags of theirs.
func TestTheGuideToAWSGivesCommandsThatThereAre(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../deploy/README.md")
	require.NoError(t, err)
	commands := regexp.MustCompile("`(?:Service|Worker)Command=([^`]+)`").FindAllStringSubmatch(string(guide), -1)
	require.Len(t, commands, 2)
	for _, c := range commands {
		verb, flags, err := root().Find(strings.Split(c[1], ","))
		require.NoError(t, err)
		require.NotEqual(t, "shop", verb.Name(), c[1])
		require.NoError(t, verb.ParseFlags(flags), c[1])
		require.Empty(t, verb.Flags().Args(), c[1])
		require.Equal(t, ":8080", verb.Flags().Lookup("listen").Value.String())
	}
}

// Every verb says what it does, with an example, and opens nothing for that.
func TestEveryVerbHasHelp(t *testing.T) {
	t.Parallel()
	for _, verb := range root().Commands() {
		if verb.HasSubCommands() {
			continue
		}
		var out, said bytes.Buffer
		assert.Equal(t, cli.ExitOK, cli.Run(t.Context(), root(), []string{verb.Name(), "--help"}, &out, &said))
		assert.Contains(t, out.String(), "shop "+verb.Name(), verb.Name())
		assert.NotEmpty(t, verb.Example, verb.Name())
	}
}
