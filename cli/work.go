package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/httpapi"
)

// work runs what an app is made of until it is told to stop.
type work struct {
	app    App
	listen string
	within time.Duration // ready
	grace  time.Duration
	until  time.Time // when the grace period ends
	log    *slog.Logger
}

const workHelp = `Runs the program's projections, sagas and relays until it gets SIGTERM or Ctrl-C. Start it in as
many processes as you like, on as many machines: they share the work, and one that dies is replaced.

Told to stop, it finishes what is under way, gives its leases back, so that others go on at once, and
ends with code 0, within the --grace period. What does not return by then is cut off: nothing of it takes effect
twice, but others wait until its leases have ended.

With --listen it answers GET /healthz, which is 200 while the process runs, and GET /readyz, which is
200 if everything is caught up: nothing is applied later than --ready-within after it was
recorded, and nothing has failed for good. Else it is 503, with the names.`

func workCommand(app App) *cobra.Command {
	w := &work{app: app}
	cmd := &cobra.Command{
		Use:     "work",
		Short:   "Run the projections, sagas and relays",
		Long:    workHelp,
		Example: "  " + app.Name + " work --listen :8080",
		Args:    NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if w.within <= 0 || w.grace <= 0 {
				return Misused(cmd, errors.New("--ready-within and --grace must be longer than 0"))
			}
			w.log = slog.Default()
			return w.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&w.listen, "listen", "", "`address` of the health port, such as :8080 (default: there is none)")
	cmd.Flags().DurationVar(&w.within, "ready-within", 10*time.Second, "how far behind the newest event it may be and still be ready")
	cmd.Flags().DurationVar(&w.grace, "grace", 20*time.Second, "how long it may take to stop")
	return cmd
}

func (w *work) run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends the process at once
	parts, err := w.app.open(ctx)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil // it was told to stop before it had begun
		}
		return err
	}
	w.until = time.Now().Add(w.grace)
	err = w.on(ctx, parts)
	if errors.Is(err, errCutOff) {
		return err // to close what is in use would wait for it
	}
	return errors.Join(err, w.close(parts))
}

// close closes the parts within what is left of the grace period.
func (w *work) close(parts Parts) error {
	ctx, stop := context.WithDeadline(context.Background(), w.until)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- parts.close(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: all work has ended, but what %s was made of took longer than %s to close", errCutOff, w.app.Name, w.grace)
	}
}

var errCutOff = errors.New("it was cut off")

func (w *work) on(ctx context.Context, parts Parts) error {
	models, err := parts.models()
	if err != nil {
		return err
	}
	if len(models) == 0 {
		return fmt.Errorf("%s has nothing to run: its Parts have no projections, sagas or relays", w.app.Name)
	}
	health, err := w.openHealth(ctx, models)
	if err != nil {
		return err
	}
	w.log.InfoContext(ctx, "working", "app", w.app.Name, "models", names(models))
	watch := func(ctx context.Context) error {
		logParked(ctx, models, w.log, parkedEvery)
		return nil
	}
	err = w.runAll(ctx, append(parts.runs(w.log), watch, health.run))
	w.log.InfoContext(ctx, "stopped", "app", w.app.Name)
	return err
}

// run is a part at work, until its context ends.
type run func(ctx context.Context) error

// runs returns the workers, which tell the log what goes on.
func (p Parts) runs(log *slog.Logger) (all []run) {
	for _, w := range p.Projections {
		all = append(all, loggedProjections(w, log).Run)
	}
	for _, w := range p.Sagas {
		all = append(all, loggedSagas(w, log).Run)
	}
	for _, r := range p.Relays {
		all = append(all, loggedRelay(r, log).Run)
	}
	return all
}

// runAll runs everything until ctx ends, or one of them has failed. The last one is the health port: it
// answers until the others have ended.
func (w *work) runAll(ctx context.Context, all []run) error {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answering, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	failures := make([]error, len(all))
	var workers, health sync.WaitGroup
	start := func(n int, ctx context.Context, group *sync.WaitGroup) {
		group.Go(func() {
			if failures[n] = all[n](ctx); failures[n] != nil {
				stop(failures[n])
			}
		})
	}
	last := len(all) - 1
	start(last, answering, &health)
	for n := range last {
		start(n, working, &workers)
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	<-working.Done()
	w.until = time.Now().Add(w.grace)
	select {
	case <-ended:
	case <-time.After(w.grace):
		var cause error // of the end, unless it was told to stop
		if ctx.Err() == nil {
			cause = context.Cause(working)
		}
		return errors.Join(cause, fmt.Errorf("%w: a handler does not return though its context ended %s ago; its work goes on elsewhere when its leases have ended", errCutOff, w.grace))
	}
	end()
	health.Wait()
	return errors.Join(failures...)
}

// health is the health port.
type health struct {
	listener net.Listener // nil: there is none
	options  httpapi.ServerOptions
}

func (w *work) openHealth(ctx context.Context, models []model) (health, error) {
	if w.listen == "" {
		return health{}, nil
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", w.listen)
	if err != nil {
		return health{}, fmt.Errorf("listen for --listen %s: %w", w.listen, err)
	}
	checks := readiness(models, w.within)
	checks["worker"] = func(context.Context) error {
		if ctx.Err() != nil {
			return errors.New("it is stopping")
		}
		return nil
	}
	return health{listener, httpapi.ServerOptions{Checks: checks, Drain: time.Second, Logger: w.log}}, nil
}

func (h health) run(ctx context.Context) error {
	if h.listener == nil {
		<-ctx.Done()
		return nil
	}
	return httpapi.Serve(ctx, h.listener, http.NotFoundHandler(), h.options)
}
