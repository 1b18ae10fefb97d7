package lambdaruntime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Options say which program to run. Binary is required.
type Options struct {
	Binary string
	Args   []string
	Env    []string // besides the environment of this process
	Dir    string
	Stdin  io.Reader

	// Timeout is how long an invocation may take; its deadline goes to the program. Default: 30 s.
	Timeout time.Duration
}

// Function is a program that runs. Its methods may be called at once.
type Function struct {
	api     *api
	server  *http.Server
	serving sync.WaitGroup
	command *exec.Cmd
	timeout time.Duration
	output  output

	exited chan struct{} // closed when the program has ended
	err    error         // how; to be read after that
}

// Start starts the program. Close ends it.
func Start(ctx context.Context, o Options) (*Function, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Function{api: newAPI(), timeout: o.Timeout, exited: make(chan struct{})}
	if f.timeout == 0 {
		f.timeout = 30 * time.Second
	}
	f.server = &http.Server{Handler: f.api.routes(), ReadHeaderTimeout: 10 * time.Second}
	f.serving.Go(func() { _ = f.server.Serve(listener) })

	f.command = exec.CommandContext(context.WithoutCancel(ctx), o.Binary, o.Args...)
	f.command.Dir, f.command.Stdin, f.command.Stdout, f.command.Stderr = o.Dir, o.Stdin, &f.output, &f.output
	f.command.Env = append(append(os.Environ(), o.Env...), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=test")
	if err := f.command.Start(); err != nil {
		f.stopServing()
		return nil, fmt.Errorf("start the function: %w", err)
	}
	f.serving.Go(func() {
		f.err = f.command.Wait()
		close(f.exited)
	})
	return f, nil
}

// Answer is what a program made of an event.
type Answer struct {
	Payload []byte // JSON; of an error, if Failed
	Failed  bool
}

// ErrExited says that the program ended before it answered.
var ErrExited = errors.New("the function exited")

// Invoke gives the program an event and waits for the answer. While another invocation is under way it
// waits for its turn. Past the deadline the program is killed, as Lambda does.
func (f *Function) Invoke(ctx context.Context, event []byte) (Answer, error) {
	invocation := newInvocation(event, f.timeout)
	ctx, cancel := context.WithDeadline(ctx, invocation.deadline)
	defer cancel()
	select {
	case f.api.pending <- invocation:
	case <-f.exited:
		return Answer{}, f.ended()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("the function does not ask for events: %w\n%s", ctx.Err(), f.Output())
	}
	select {
	case answer := <-invocation.answered:
		return answer, nil
	case <-f.exited:
		return f.last(invocation)
	case <-ctx.Done():
		_ = f.command.Process.Kill()
		return Answer{}, fmt.Errorf("the function was killed: %w\n%s", ctx.Err(), f.Output())
	}
}

// last returns the answer of a program that has answered and then exited.
func (f *Function) last(i *invocation) (Answer, error) {
	select {
	case answer := <-i.answered:
		return answer, nil
	default:
		return Answer{}, f.ended()
	}
}

func (f *Function) ended() error {
	cause := f.err
	if init := f.api.initError(); init != "" {
		cause = errors.New(init)
	}
	return fmt.Errorf("%w: %w\n%s", ErrExited, errOr(cause, "with status 0"), f.Output())
}

func errOr(err error, otherwise string) error {
	if err == nil {
		return errors.New(otherwise)
	}
	return err
}

// Terminate sends SIGTERM, as Lambda does to a program that has registered as an extension; to others
// it is an error.
func (f *Function) Terminate() error {
	if !f.api.isExtension() {
		return errors.New("the function has not registered as an extension, and would be killed")
	}
	return f.command.Process.Signal(syscall.SIGTERM)
}

// Wait waits until the program has ended and returns how: nil for status 0.
func (f *Function) Wait(ctx context.Context) error {
	select {
	case <-f.exited:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill ends the program as kill -9 does.
func (f *Function) Kill() { _ = f.command.Process.Kill() }

// Output returns what the program has written so far.
func (f *Function) Output() string { return f.output.String() }

// Close kills the program if it runs, and waits for its end.
func (f *Function) Close() {
	f.Kill()
	<-f.exited
	f.stopServing()
}

func (f *Function) stopServing() {
	_ = f.server.Close()
	f.serving.Wait()
}

// output is a buffer to write and read at once.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}
