package testservers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"syscall"
)

// ProgramOptions are the options of [StartProgram].
type ProgramOptions struct {
	// Name is what errors call it. Required, as the next.
	Name string

	// Program is the path of what runs. It runs as ourselves, root or not: what it reads may
	// lie where nobody else can look.
	Program string

	// Args and Env depend on the port that it is to listen on; an Env is "NAME=value".
	// Default: none, and of our own environment it sees PATH only.
	Args func(port int) []string
	Env  func(port int) []string

	// Dir is where the program's directory is made, in which it works. Default: /tmp.
	Dir string
}

// Program is a server that is none of the others, on a port of the loopback interface.
type Program struct {
	process

	name string
	port int
}

// StartProgram starts a server and returns when its port takes connections. It ends with
// Stop, or with this process.
func StartProgram(ctx context.Context, options ProgramOptions) (*Program, error) {
	p, err := startProgram(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", options.Name, err)
	}
	return p, nil
}

func startProgram(ctx context.Context, options ProgramOptions) (*Program, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w: it is no Linux", ErrUnavailable)
	}
	home, err := newHomeAs(account{}, options.Dir, "lf-"+strings.ToLower(options.Name)+"-")
	if err != nil {
		return nil, err
	}
	p := &Program{process: process{home: home}, name: options.Name}
	err = onFreePort(func(port int) error {
		p.port = port
		return p.run(ctx, options)
	})
	if err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *Program) run(ctx context.Context, options ProgramOptions) error {
	var args []string
	if options.Args != nil {
		args = options.Args(p.port)
	}
	p.env = nil
	if options.Env != nil {
		p.env = options.Env(p.port)
	}
	if err := p.start(options.Program, args...); err != nil {
		return err
	}
	if err := p.ready(ctx, p.dial); err != nil {
		return errors.Join(err, p.end(context.WithoutCancel(ctx), syscall.SIGKILL))
	}
	return nil
}

func (p *Program) dial(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", p.Addr())
	if err != nil {
		return err
	}
	return conn.Close()
}

// Addr returns the TCP address, host:port.
func (p *Program) Addr() string { return loopback(p.port) }
