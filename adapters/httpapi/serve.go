package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServerOptions are those of [Serve]. The zero value works.
type ServerOptions struct {
	// Checks say by name whether the service can do its work: a nil error. They decide
	// /readyz. Default: none, it is ready while it runs.
	Checks map[string]Check

	// Notice is how long the server goes on as usual once it is to stop, with /readyz saying
	// no, so that load balancers send new requests elsewhere. Default: 0.
	Notice time.Duration

	// Drain is how long the requests under way may take to end after that. Then their
	// contexts end. Default: 20 s.
	Drain time.Duration

	// ReadHeaderTimeout, ReadTimeout, WriteTimeout and IdleTimeout are those of
	// [http.Server]. Default: 5 s, 30 s, 60 s, 2 min.
	ReadHeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration

	// MaxHeaderBytes is the most that the headers of a request may have. Default: 64 KiB.
	MaxHeaderBytes int

	// Logger gets what goes wrong. Default: slog.Default().
	Logger *slog.Logger
}

func (o ServerOptions) withDefaults() ServerOptions {
	o.Drain = cmp.Or(o.Drain, 20*time.Second)
	o.ReadHeaderTimeout = cmp.Or(o.ReadHeaderTimeout, 5*time.Second)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 30*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 2*time.Minute)
	o.MaxHeaderBytes = cmp.Or(o.MaxHeaderBytes, 64<<10)
	o.Logger = loggerOr(o.Logger)
	return o
}

// ErrCutOff says that requests were still under way when the time to drain was up. Their
// contexts were ended, and Serve has waited for them.
var ErrCutOff = errors.New("requests were cut off; give them more time by ServerOptions.Drain")

// Serve serves the handler on the listener until ctx ends, then stops without dropping
// anything: /readyz says no; after Notice new connections are refused; the requests under way
// end by themselves, or have their contexts and connections ended after Drain. It returns
// when every one has ended: nil, [ErrCutOff], or why the listener failed. It closes the
// listener. The contexts of requests do not end with ctx.
//
// It adds GET /healthz, which is 200 while the process runs, and GET /readyz, see [Check].
// For TLS give it the listener of [crypto/tls.NewListener], with "h2" among the NextProtos
// for HTTP/2.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, options ServerOptions) error {
	options = options.withDefaults()
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s := &server{log: options.Logger.With("address", listener.Addr().String()), drain: options.Drain, endRequests: end}
	s.http = &http.Server{
		Handler:           s.counted(withHealth(handler, readiness{ctx, options})),
		ReadHeaderTimeout: options.ReadHeaderTimeout,
		ReadTimeout:       options.ReadTimeout,
		WriteTimeout:      options.WriteTimeout,
		IdleTimeout:       options.IdleTimeout,
		MaxHeaderBytes:    options.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(options.Logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	s.log.InfoContext(ctx, "serving")
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(listener) }()
	if err := until(ctx, options.Notice, failed); err != nil {
		return errors.Join(fmt.Errorf("serve %s: %w", listener.Addr(), err), s.stop())
	}
	s.log.InfoContext(ctx, "stopping")
	err := s.stop()
	if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// until returns when ctx has ended and the notice after it has passed, or with the error
// of a listener that failed before.
func until(ctx context.Context, notice time.Duration, failed <-chan error) error {
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(notice)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}

type server struct {
	http        *http.Server
	log         *slog.Logger
	drain       time.Duration
	endRequests context.CancelFunc

	running sync.RWMutex // held by every request, and for good by stop
	ended   bool
}

// counted holds the lock while a request is handled, so that stop can wait for it.
func (s *server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.running.RLock()
		defer s.running.RUnlock()
		if s.ended {
			panic(http.ErrAbortHandler) // it was read just when its connection was closed
		}
		next.ServeHTTP(w, r)
	})
}

// stop refuses new requests and waits for those under way.
func (s *server) stop() error {
	if s.drained(s.drain) {
		return nil
	}
	s.log.Warn("requests are cut off", "drain", s.drain)
	s.endRequests()
	if !s.drained(time.Second) { // what ends with its context may still answer
		_ = s.http.Close() // what waits for its client may not
	}
	s.running.Lock()
	defer s.running.Unlock()
	s.ended = true
	return ErrCutOff
}

// drained refuses connections and reports whether all requests ended in time.
func (s *server) drained(most time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	return !errors.Is(s.http.Shutdown(ctx), context.DeadlineExceeded)
}
