package httpapi

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// Options are those of [Commands] and [Queries]. The zero value works: it serves all that
// the bus has, to everybody.
type Options struct {
	// Names are the commands or queries to serve. A name that the bus does not have panics.
	// Default: every one that the bus has.
	Names []string

	// Authenticate says on whose behalf a request is made. Default: nobody's, so that all
	// clients share their keys. See [Authenticate].
	Authenticate Authenticate

	// Authorize says whether a request may be made. Default: all may. See [Authorize].
	Authorize Authorize

	// Challenge is the WWW-Authenticate header of a 401. Default: Bearer.
	Challenge string

	// Problem turns an error of a handler into what the client is told. It is asked first;
	// what it returns nil for is told as the package does: see [Problem]. Default: nil.
	Problem func(error) *Problem

	// RequireKey refuses commands without an Idempotency-Key. Default: false.
	RequireKey bool

	// BodyBytes is the most that the body of a command may have. Default: 1 MiB.
	BodyBytes int64

	// Timeout ends the context of a request. It must be shorter than the server's
	// WriteTimeout, or the client never hears of it. Default: 30 s.
	Timeout time.Duration

	// Wait is how long a query may wait for its tokens if the client does not say (Prefer:
	// wait), MaxWait how long if it does. Default: 5 s and 20 s.
	Wait, MaxWait time.Duration

	// Logger gets failures: problems of status 500 and above, panics with their stack, errors
	// of the hooks. Default: slog.Default().
	Logger *slog.Logger
}

const (
	defaultBodyBytes = 1 << 20
	defaultTimeout   = 30 * time.Second
	defaultWait      = 5 * time.Second
	defaultMaxWait   = 20 * time.Second
)

func (o Options) withDefaults() Options {
	o.Challenge = cmp.Or(o.Challenge, "Bearer")
	o.BodyBytes = cmp.Or(o.BodyBytes, defaultBodyBytes)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.MaxWait = cmp.Or(o.MaxWait, defaultMaxWait)
	o.Wait = min(cmp.Or(o.Wait, defaultWait), o.MaxWait)
	o.Logger = loggerOr(o.Logger)
	return o
}

func loggerOr(logger *slog.Logger) *slog.Logger {
	if logger == nil {
		return slog.Default()
	}
	return logger
}

// serves reports whether a name of the bus is served.
func (o Options) serves(name string) bool {
	return len(o.Names) == 0 || slices.Contains(o.Names, name)
}

// checkNames panics on a name that was asked for and is not there.
func checkNames[T any](o Options, of map[string]T) {
	for _, name := range o.Names {
		if _, ok := of[name]; !ok {
			panic(fmt.Sprintf("httpapi: Options.Names has %q, and the bus does not; register every handler first", name))
		}
	}
}

// allowed answers 405 unless the request's method is one of them.
func allowed(r *http.Request, methods ...string) error {
	if slices.Contains(methods, r.Method) {
		return nil
	}
	return &Problem{Type: TypeMethodNotAllowed, Status: http.StatusMethodNotAllowed, Detail: r.Method + " is not for this", allow: methods}
}
