package ptytest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAPageShowsWhatATerminalWould(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, output string
		shown        []string
	}{
		{"lines", "one\r\ntwo", []string{"one", "two"}},
		{"a line over another", "12345\r67", []string{"67345"}},
		{"the rest of a line erased", "12345\r67\x1b[K", []string{"67"}},
		{"the end of a full line erased", "12345678\x1b[K", []string{"1234567"}},
		{"two lines drawn again", "one\r\ntwo\r\n\x1b[A\x1b[K\x1b[A\x1b[Knew", []string{"new"}},
		{"a line that wraps", "123456789", []string{"12345678", "9"}},
		{"a line that is cut", "\x1b[?7l123456789", []string{"12345679"}},
		{"lines that leave it upwards", "1\r\n2\r\n3\r\n4", []string{"1", "2", "3", "4"}},
		{"another page", "before\r\n\x1b[?1049h\x1b[2Jfull\x1b[?1049lafter", []string{"before", "after"}},
		{"the top, and what is below erased", "one\r\ntwo\r\nthree\x1b[H1\x1b[K\r\n\x1b[J", []string{"1"}},
	} {
		p := newPage(8, 3)
		for n := range len(c.output) {
			p.write([]byte(c.output[n : n+1])) // as slowly as it may come
		}
		assert.Equal(t, c.shown, p.shown(), c.name)
		assert.Empty(t, p.strange, c.name)
	}
	p := newPage(8, 3)
	p.write([]byte("\x1b[5;7r"))
	assert.Equal(t, "\x1b[5;7r", p.strange, "what no terminal must know is told")
}
