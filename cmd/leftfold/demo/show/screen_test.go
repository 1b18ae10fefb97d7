package show_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
	"github.com/leftfold/leftfold/internal/ptytest"
)

func TestAFrameIsDrawnOnATerminalAsItIs(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 45}} {
		terminal := ptytest.New(t, size[0], size[1])
		s, ok := show.Open(terminal.Tty, terminal.Tty)
		require.True(t, ok)
		defer s.Close()
		f := full()
		f.Messages = f.Messages[:3] // the others have characters of two columns, which a test's terminal has not
		for range 2 {
			require.NoError(t, s.Draw(f))
		}
		terminal.Sees(t, "quit")
		terminal.Type("r")
		assert.Equal(t, 'r', <-s.Keys())
		assert.Equal(t, show.Lines(f, size[0], size[1], false), terminal.Shown(), "nothing scrolls, nothing wraps")
		assert.Contains(t, terminal.Written(), "\x1b[31m", "a terminal has colour")
		s.Log("what stays")
		s.Close()
		terminal.IsFree(t)
		assert.Equal(t, []string{"what stays"}, terminal.Shown())
	}
}

func TestWhereNobodySitsNoFrameIsDrawn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, ok := show.Open(&out, &out)
	assert.False(t, ok)
	assert.Empty(t, out.String())
}
