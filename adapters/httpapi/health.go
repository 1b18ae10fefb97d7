package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Check says whether a part of the service works: nil, or what is wrong. It ends with its
// context, after 2 s. /readyz asks all checks at once and is 200 if nothing is wrong, else 503
// with their names; what is wrong goes to the log. While the server stops it is 503 too.
type Check func(ctx context.Context) error

const checkTimeout = 2 * time.Second

// withHealth answers /healthz and /readyz itself.
func withHealth(next http.Handler, ready readiness) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case reads && r.URL.Path == "/healthz":
			send(w, http.StatusOK, "application/json", []byte(`{"status":"ok"}`))
		case reads && r.URL.Path == "/readyz":
			ready.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// readiness answers /readyz.
type readiness struct {
	stopping context.Context
	options  ServerOptions
}

func (h readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status string   `json:"status"`
		Failed []string `json:"failed,omitempty"`
	}{Status: "ready"}
	status := http.StatusOK
	if h.stopping.Err() != nil {
		answer.Status, status = "stopping", http.StatusServiceUnavailable
	} else if answer.Failed = h.failed(r.Context()); len(answer.Failed) > 0 {
		answer.Status, status = "not ready", http.StatusServiceUnavailable
	}
	body, err := json.Marshal(answer)
	if err != nil { // strings
		panic(err)
	}
	send(w, status, "application/json", body)
}

// failed asks the checks and returns the names of those that are not well, sorted.
func (h readiness) failed(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
		failed []string
	)
	for _, name := range slices.Sorted(maps.Keys(h.options.Checks)) {
		asking.Go(func() {
			_, err := unpanicked(func() (struct{}, error) { return struct{}{}, h.options.Checks[name](ctx) })
			if err == nil {
				return
			}
			h.options.Logger.WarnContext(ctx, "not ready", "check", name, "error", err)
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, name)
		})
	}
	asking.Wait()
	slices.Sort(failed)
	return failed
}
