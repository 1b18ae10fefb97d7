package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/internal/ptytest"
)

func TestALineIsCutOnATerminalAndWholeElsewhere(t *testing.T) {
	terminal := ptytest.New(t, 40, 10)
	long := strings.Repeat("0123456789", 9)
	require.NoError(t, cli.NewPrinter(terminal.Tty).Line(long))
	assert.Equal(t, []string{long[:39] + "…"}, terminal.Sees(t, "…"))
	var out bytes.Buffer
	require.NoError(t, cli.NewPrinter(&out).Line(long))
	assert.Equal(t, long+"\n", out.String())
}

func TestASentenceIsWrappedOnATerminalAndOneLineElsewhere(t *testing.T) {
	terminal := ptytest.New(t, 40, 10)
	long := "it does not decode, because somebody has written a dozen where a list was wanted"
	cli.NewPrinter(terminal.Tty).Text(2, long)
	assert.Equal(t, []string{"  it does not decode, because somebody", "  has written a dozen where a list was", "  wanted"}, terminal.Sees(t, "wanted"))
	var out bytes.Buffer
	cli.NewPrinter(&out).Text(2, long)
	assert.Equal(t, "  "+long+"\n", out.String())
}

func TestHelpFitsTheTerminal(t *testing.T) {
	for _, columns := range []int{60, 80, 160} {
		terminal := ptytest.New(t, columns, 24)
		code := cli.Run(t.Context(), cli.Command(newShop(t).app()), []string{"projections", "retire", "--help"}, terminal.Tty, terminal.Tty)
		require.Equal(t, cli.ExitOK, code)
		terminal.Sees(t, "do it without asking")
		for line := range strings.SplitSeq(terminal.Written(), "\r\n") {
			assert.LessOrEqual(t, len([]rune(line)), min(columns, 100), line)
		}
		assert.NotContains(t, terminal.Written(), "\n \n")
	}
	help := newShop(t).run(t, "projections", "retire", "--help").stdout
	assert.Contains(t, help, "Removes a generation that nobody needs any more, with its rows: one that was\nreplaced, or one whose build has failed.")
}
