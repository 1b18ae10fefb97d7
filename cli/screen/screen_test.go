package screen_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli/screen"
	"github.com/leftfold/leftfold/internal/ptytest"
)

const child = "LEFTFOLD_SCREEN_CHILD"

func TestMain(m *testing.M) {
	if how := os.Getenv(child); how != "" {
		program(how)
		return
	}
	os.Exit(m.Run())
}

// program draws what is pressed, until q, an interrupt, or p, at which it panics.
func program(how string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, ok := screen.Open(os.Stdout, os.Stdin)
	if !ok {
		fmt.Println("no screen")
		return
	}
	defer s.Close()
	s.Log("this stays")
	pressed := ""
	for {
		_ = s.Draw([]string{"pressed: " + pressed, "a line that is drawn again"}) // a terminal that is gone ends it too
		select {
		case <-ctx.Done():
			if how == "stubborn" {
				stop()
				s.Log("interrupted, and goes on")
				select {}
			}
			return
		case key := <-s.Keys():
			switch pressed += string(key); key {
			case 'q':
				return
			case 'p':
				panic("at the disco")
			}
		}
	}
}

// runs starts the program on a terminal on which something stands.
func runs(t *testing.T, how string) (*ptytest.Terminal, *exec.Cmd) {
	t.Helper()
	terminal := ptytest.New(t, 40, 10)
	fmt.Fprintln(terminal.Tty, "$ program")
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), child+"="+how, "GORACE=atexit_sleep_ms=0")
	terminal.Takes(command)
	require.NoError(t, command.Start())
	terminal.Until(t, func(lines []string) bool { return len(lines) == 2 && lines[0] == "pressed:" })
	return terminal, command
}

func TestAScreenGivesTheTerminalBackAsItWas(t *testing.T) {
	t.Run("at its end", func(t *testing.T) {
		terminal, command := runs(t, "so")
		terminal.Type("a")
		terminal.Sees(t, "pressed: a")
		terminal.Type("\x1b[A") // an arrow is no key
		terminal.Type("b")
		assert.Equal(t, []string{"pressed: ab", "a line that is drawn again"}, terminal.Sees(t, "pressed: ab"))
		terminal.Type("q")
		require.NoError(t, command.Wait())
		terminal.IsFree(t)
		assert.Equal(t, []string{"$ program", "this stays"}, terminal.Shown())
	})
	t.Run("at Ctrl-C", func(t *testing.T) {
		terminal, command := runs(t, "so")
		terminal.Type("\x03")
		require.NoError(t, command.Wait())
		terminal.IsFree(t)
		assert.Equal(t, []string{"$ program", "this stays"}, terminal.Shown())
	})
	t.Run("before a second Ctrl-C ends it", func(t *testing.T) {
		terminal, command := runs(t, "stubborn")
		terminal.Type("\x03")
		terminal.Sees(t, "interrupted, and goes on")
		terminal.IsFree(t)
		terminal.Type("\x03")
		require.ErrorContains(t, command.Wait(), "interrupt")
	})
	t.Run("at a panic", func(t *testing.T) {
		terminal, command := runs(t, "so")
		terminal.Type("p")
		require.ErrorContains(t, command.Wait(), "exit status 2")
		terminal.IsFree(t)
		terminal.Sees(t, "panic: at the disco")
	})
}

func TestAKeyThatNobodyPressesKeepsNobodyWaiting(t *testing.T) {
	terminal := ptytest.New(t, 40, 10)
	s, ok := screen.Open(terminal.Tty, terminal.Tty)
	require.True(t, ok)
	require.NotNil(t, s.Keys())
	terminal.Type("x") // nobody takes it
	s.Close()
	s.Close()
	terminal.IsFree(t)
	require.NoError(t, s.Draw([]string{"after the end"}))
	s.Log("a late line")
	assert.Equal(t, []string{"a late line"}, terminal.Sees(t, "a late line"))
}

func TestLinesMayBeAsWideAsTheTerminalAndAsManyAsItHas(t *testing.T) {
	terminal := ptytest.New(t, 40, 3)
	s, ok := screen.Open(terminal.Tty, nil)
	require.True(t, ok)
	defer s.Close()
	full := []string{strings.Repeat("1234567890", 4), strings.Repeat("abcdefghij", 4), strings.Repeat("0987654321", 4)}
	for _, lines := range [][]string{full, {"short", full[1]}, full, {}, full} {
		require.NoError(t, s.Draw(lines))
		terminal.Until(t, func(shown []string) bool { return slices.Equal(shown, lines) })
	}
}

func TestOnlyATerminalThatSomebodySitsAtHasAScreen(t *testing.T) {
	var out bytes.Buffer
	_, ok := screen.Open(&out, os.Stdin)
	assert.False(t, ok)
	pipe, other, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	defer other.Close()
	_, ok = screen.Open(other, os.Stdin)
	assert.False(t, ok)
	assert.Empty(t, out.String())

	terminal := ptytest.New(t, 40, 10)
	columns, lines, ok := screen.Size(terminal.Tty)
	assert.Equal(t, []any{40, 10, true}, []any{columns, lines, ok})
	assert.True(t, screen.Coloured(terminal.Tty))
	s, ok := screen.Open(terminal.Tty, strings.NewReader("keys"))
	require.True(t, ok)
	assert.Nil(t, s.Keys(), "there are none")
	s.Close()
	for name, value := range map[string]string{"NO_COLOR": "1", "CI": "true", "TERM": "dumb"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, _, ok = screen.Size(terminal.Tty)
			assert.Equal(t, name == "NO_COLOR", ok)
			assert.False(t, screen.Coloured(terminal.Tty))
		})
	}
}
