package discovery

import (
	"net/http"
	"strconv"
	"time"
)

// verdict says what a try tells of its endpoint.
type verdict int

const (
	// ours: nothing. The caller has gone, or the request was never given to the endpoint.
	ours verdict = iota
	answered
	// busy: it answered that it can not now, and until when.
	busy
	// failed: the request may have been carried out.
	failed
	// unsent: it failed before it had a connection, so the request was not carried out.
	unsent
)

// isFailure reports whether the verdict counts against the endpoint.
func (v verdict) isFailure() bool { return v == failed || v == unsent }

// byStatus judges an answer. 500 is about the request, not about the endpoint, and so is a 503 with
// Retry-After to one that says how fresh the answer must be: else anybody who asks for what is
// not there yet would have endpoints put aside.
func byStatus(asked *http.Request, r *http.Response) verdict {
	switch r.StatusCode {
	case http.StatusServiceUnavailable:
		switch {
		case retryAfter(r, time.Now()) <= 0:
			return failed
		case asked.Header.Get("Leftfold-After") != "" || asked.Header.Get("Cache-Control") != "":
			return answered
		}
		return busy
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return failed
	default:
		return answered
	}
}

// retryAfter is how long an answer asks to be left alone (RFC 9110 section 10.2.3); 0: it does
// not.
func retryAfter(r *http.Response, now time.Time) time.Duration {
	value := r.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// repeatable reports whether a request may be sent again after it was sent: its method or its
// key says so, and its body can be had again.
func repeatable(r *http.Request) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false
	}
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header.Get("Idempotency-Key") != ""
}
