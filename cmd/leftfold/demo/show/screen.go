package show

import (
	"io"

	"github.com/leftfold/leftfold/cli/screen"
)

// Screen shows frames on a terminal. Its methods may be called from any goroutine.
type Screen struct {
	*screen.Screen

	out    io.Writer
	colour bool
}

// Open takes the terminal until Close, which the caller must defer at once; ok is false if out is none that
// frames can be shown on. See [screen.Open].
func Open(out io.Writer, in io.Reader) (s *Screen, ok bool) {
	terminal, ok := screen.Open(out, in)
	if !ok {
		return nil, false
	}
	return &Screen{terminal, out, screen.Coloured(out)}, true
}

// Draw shows a frame in place of the last one.
func (s *Screen) Draw(f Frame) error {
	width, height, ok := screen.Size(s.out)
	if !ok {
		return nil // it is gone, or was resized to nothing
	}
	return s.Screen.Draw(Lines(f, width, height, s.colour))
}
