//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package screen

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"golang.org/x/sys/unix"
)

// readKeys has a terminal hand out keys one by one, and not show them, until release returns. Ctrl-C still
// is an interrupt; Ctrl-Z does nothing, because a shell would find the terminal half drawn.
func readKeys(terminal *os.File) (keys <-chan rune, release func(), err error) {
	fd := int(terminal.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, nil, fmt.Errorf("read the settings of the terminal: %w", err)
	}
	raw := *before
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	raw.Cc[unix.VSUSP] = 0
	wake, waker, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("read keys: %w", err)
	}
	if err := unix.IoctlSetTermios(fd, setTermios, &raw); err != nil {
		wake.Close()
		waker.Close()
		return nil, nil, fmt.Errorf("set the terminal up for single keys: %w", err)
	}
	pressed, stop, ended := make(chan rune), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pass(terminal, wake, pressed, stop)
	}()
	return pressed, func() {
		close(stop)
		waker.Close()
		<-ended
		wake.Close()
		_ = unix.IoctlSetTermios(fd, setTermios, before) // it is gone if it fails
	}, nil
}

// arrows are they, and other keys of several characters.
var arrows = regexp.MustCompile(`\x1b([[O][0-9;]*[A-Za-z~])?`)

// pass hands keys on until wake has no other end any more. Nothing is read that nobody has pressed: a read that
// waits could not be ended.
func pass(terminal, wake *os.File, pressed chan<- rune, stop <-chan struct{}) {
	in, awake := int(terminal.Fd()), int(wake.Fd())
	for {
		var ready unix.FdSet
		ready.Set(in)
		ready.Set(awake)
		_, err := unix.Select(max(in, awake)+1, &ready, nil, nil, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || ready.IsSet(awake) {
			return
		}
		var buffer [64]byte
		n, err := terminal.Read(buffer[:])
		if err != nil || n == 0 {
			return // the terminal is gone
		}
		for _, key := range arrows.ReplaceAllString(string(buffer[:n]), "") {
			select {
			case pressed <- key:
			case <-stop:
				return
			}
		}
	}
}
