package cli_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/internal/ptytest"
)

func TestTopDrawsOnATerminalAndLeavesALine(t *testing.T) {
	s := newShop(t)
	happens(t, s.store(t), "1", placed{500}, paid{})
	s.catchesUp(t)
	terminal := ptytest.New(t, 80, 24)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, cli.Command(s.app()), []string{"top", "--every", "10ms"}, terminal.Tty, terminal.Tty)
	}()
	lines := terminal.Until(t, func(lines []string) bool {
		return strings.Contains(strings.Join(lines, "\n"), "greeter_instanc…@1") // which is the last of them
	})
	assert.Contains(t, strings.Join(lines, "\n"), "orders@1           stopped                       0     0s         0  live")
	assert.Len(t, lines, 18)
	stop()
	assert.Equal(t, cli.ExitOK, <-ended)
	terminal.IsFree(t)
	require.Len(t, terminal.Shown(), 1)
	assert.Regexp(t, `^\d\d:\d\d:\d\d  0 events/s, 0 failing, 0 dead letters, orders@1 is 0 behind \(0s\)$`, terminal.Shown()[0])
}

func TestABarIsDrawnOnATerminalAndLeavesOneLine(t *testing.T) {
	for columns, most := range map[int]int{80: 80, 160: 160} {
		terminal := ptytest.New(t, columns, 10)
		bar := cli.NewBar(terminal.Tty, "rebuild orders@2", 1_000_000)
		for _, note := range []string{"1 of 1,000,000 events, 1/s", strings.Repeat("a longer note ", 20)} {
			bar.Set(500_000, note)
			terminal.Sees(t, note[:20])
		}
		bar.Sayf("an event %s", "failed")
		bar.Set(999_999, "9/s")
		terminal.Sees(t, "orders@2: 9/s")
		bar.Finish(true)
		lines := terminal.Until(t, func(lines []string) bool { return strings.Contains(lines[len(lines)-1], "done!") })
		require.Len(t, lines, 2, "%s", strings.Join(lines, "\n"))
		assert.Equal(t, "an event failed", lines[0], "a line that stays is above it")
		for _, line := range lines {
			assert.LessOrEqual(t, len([]rune(line)), most)
		}
		terminal.IsFree(t)
	}
}

// It also ends at once: go-pretty loses a Stop that comes before it has begun to draw.
func TestABarThatFailsSaysSo(t *testing.T) {
	terminal := ptytest.New(t, 80, 10)
	bar := cli.NewBar(terminal.Tty, "rebuild orders@2", 10)
	bar.Set(5, "5 of 10 events")
	bar.Finish(false)
	lines := terminal.Sees(t, "fail!")
	assert.Len(t, lines, 1, lines)
	terminal.IsFree(t)
}

// Where nobody sits, nothing moves a cursor and nothing is drawn over: pipes, CI, dumb terminals.
func TestWhereNobodySitsABarIsLines(t *testing.T) {
	for name, value := range map[string]string{"CI": "true", "TERM": "dumb"} {
		terminal := ptytest.New(t, 80, 10)
		t.Setenv(name, value)
		draw(terminal.Tty)
		terminal.Sees(t, "done")
		assert.Equal(t, "rebuild: started\r\nrebuild: an event failed\r\nrebuild: 5 of 10 events, done\r\n", terminal.Written(), name)
	}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	draw(write)
	write.Close()
	piped := make([]byte, 1000)
	n, err := read.Read(piped)
	require.NoError(t, err)
	assert.Equal(t, "rebuild: started\nrebuild: an event failed\nrebuild: 5 of 10 events, done\n", string(piped[:n]))
}

func draw(out *os.File) {
	bar := cli.NewBar(out, "rebuild", 10)
	bar.Set(5, "5 of 10 events")
	bar.Sayf("an event failed")
	bar.Finish(true)
}

func TestConfirmAsksAtATerminal(t *testing.T) {
	for answer, agreed := range map[string]bool{"yes": true, "y": false} {
		terminal := ptytest.New(t, 80, 10)
		cmd := &cobra.Command{}
		cmd.SetIn(terminal.Tty)
		cmd.SetErr(terminal.Tty)
		said := make(chan error, 1)
		go func() {
			said <- cli.Confirm(cmd, cli.Confirmation{Question: "Forget them?", Undone: "nothing was forgotten"})
		}()
		terminal.Sees(t, "Forget them? Type yes:")
		terminal.Type(answer + "\n")
		if err := <-said; agreed {
			require.NoError(t, err)
		} else {
			require.Equal(t, errors.New("nothing was forgotten"), err, "%q", answer)
		}
		assert.Equal(t, "Forget them? Type yes: "+answer, strings.Join(terminal.Sees(t, "yes: "+answer), "\n"))
	}
}
