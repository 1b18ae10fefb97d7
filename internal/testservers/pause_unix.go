//go:build unix

package testservers

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// Pause stops all processes of the server by SIGSTOP: it keeps its connections, and answers
// nothing until [process.Continue].
func (p *process) Pause() error {
	main := p.Pid()
	if main == 0 {
		return errors.New("pause: it does not run")
	}
	stopped := []int{main} // it comes first and makes no more children
	if err := syscall.Kill(main, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	for {
		pids, err := p.living()
		if err != nil {
			return fmt.Errorf("pause: %w", err)
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool { return slices.Contains(stopped, pid) })
		if len(pids) == 0 {
			return nil
		}
		if err := signal(pids, syscall.SIGSTOP); err != nil {
			return fmt.Errorf("pause: %w", err)
		}
		stopped = append(stopped, pids...)
	}
}

// Continue undoes [process.Pause].
func (p *process) Continue() error {
	pids, err := p.living()
	if err == nil {
		err = signal(pids, syscall.SIGCONT)
	}
	if err != nil {
		return fmt.Errorf("continue: %w", err)
	}
	return nil
}

// signal sends a signal to the processes that have not ended meanwhile.
func signal(pids []int, sig syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
