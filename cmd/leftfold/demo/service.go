package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
)

// service is a child process, and the next one when that has ended.
type service struct {
	name string
	// told is what a process is told when it begins. Its address is that of the one before.
	told func() orders
	// sayf tells people something.
	sayf func(mark show.Mark, format string, args ...any)
	log  string // file

	mu        sync.Mutex
	process   *process
	state     state
	address   string
	addresses map[string][]string // of all
	wanted    bool                // that it ends: it is started again at once
	killedAt  time.Time
	kills     int64
	conflicts int64 // of the processes before
}

// state is how a service does.
type state string

const (
	down     state = "down"
	starting state = "starting"
	up       state = "up"
	killed   state = "killed"
)

// stays is how long a service that was killed stays away, for people to see what becomes of it.
const stays = 2 * time.Second

// process is one of them.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	heard *json.Decoder
	ended chan struct{}
	err   error // when it has ended

	conflicts int64 // under the lock of the service
}

// start starts a process and returns when it listens.
func (s *service) start() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p := &process{cmd: exec.CommandContext(context.Background(), self, "demo", "service"), ended: make(chan struct{})}
	p.cmd.Stderr = log
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.heard = json.NewDecoder(out)
	o := s.told()
	s.mu.Lock()
	if s.address != "" {
		o.Listen = s.address
	}
	s.mu.Unlock()
	var where says
	err = json.NewEncoder(p.in).Encode(o)
	if err == nil {
		err = p.heard.Decode(&where)
	}
	if err != nil {
		p.discard()
		return nil, fmt.Errorf("%s does not start: %s", s.name, lastLine(s.log))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.address, s.state = p, where.Listens, starting
	return p, nil
}

// serves tells the process where all are, and listens to it until it ends.
func (s *service) serves(p *process) {
	go func() {
		if err := json.NewEncoder(p.in).Encode(s.addresses); err != nil {
			p.kill() // it has ended, or does not listen
		}
		for {
			var said says
			if err := p.heard.Decode(&said); err != nil {
				break
			}
			s.heard(p, said)
		}
		p.err = p.cmd.Wait()
		s.mu.Lock()
		s.conflicts += p.conflicts
		p.conflicts = 0
		if s.state != killed {
			s.state = down
		}
		s.mu.Unlock()
		close(p.ended)
	}()
}

func (s *service) heard(p *process, said says) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if said.Conflicts > 0 {
		p.conflicts = said.Conflicts
	}
	if !said.Up {
		return
	}
	s.state = up
	if !s.killedAt.IsZero() {
		s.sayf(show.Good, "%s is up again, %.1f s after it was killed", s.name, time.Since(s.killedAt).Seconds())
		s.killedAt = time.Time{}
	}
}

// keep starts the service again whenever it has ended, until ctx ends. It fails if the service ends again and
// again.
func (s *service) keep(ctx context.Context, p *process) error {
	const most = 5 // in a row
	for failed := 0; failed < most; {
		select {
		case <-ctx.Done():
			return s.end(p)
		case <-p.ended:
		}
		away := stays
		s.mu.Lock()
		switch {
		case s.wanted:
			away, s.wanted = 0, false
		case s.state != killed:
			s.sayf(show.Bad, "%s has ended by itself (%v): see %s", s.name, p.err, s.log)
			failed++
		}
		s.mu.Unlock()
		if !pause(ctx, away) {
			return nil
		}
		for next, err := s.start(); ; next, err = s.start() {
			if err == nil {
				p = next
				s.serves(p)
				break
			}
			if failed++; failed == most || !pause(ctx, time.Second) {
				return err
			}
		}
	}
	return fmt.Errorf("%s ends again and again: see %s", s.name, s.log)
}

// end has the process end by itself.
func (s *service) end(p *process) error {
	_ = p.in.Close()
	select {
	case <-p.ended:
	case <-time.After(2 * toDrain):
		p.kill()
		<-p.ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.err != nil && s.state != killed {
		return fmt.Errorf("%s: %w: see %s", s.name, p.err, s.log)
	}
	return nil
}

// kill kills the service as kill -9 does. False: there is nothing to kill.
func (s *service) kill() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != up {
		return false
	}
	s.state, s.killedAt = killed, time.Now()
	s.kills++
	s.process.kill()
	return true
}

// again ends the service and starts it again, as a deploy of a new program does.
func (s *service) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == up || s.state == starting {
		s.wanted = true
		_ = s.process.in.Close()
	}
}

// standing is how a service stands.
type standing struct {
	state     state
	address   string
	conflicts int64
	kills     int64
}

func (s *service) now() standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := standing{s.state, s.address, s.conflicts, s.kills}
	if s.process != nil {
		now.conflicts += s.process.conflicts
	}
	return now
}

// discard ends a process that nobody listens to yet.
func (p *process) discard() {
	p.kill()
	_ = p.cmd.Wait()
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // it fails only if there is none

// lastLine is the last that a log says.
func lastLine(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "leftfold: ")
}
