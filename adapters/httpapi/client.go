package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Client talks to another service that serves [Commands] and [Queries]. Use one from any
// goroutine, for as long as the program runs.
type Client struct {
	// URL is where the handlers are mounted, such as http://orders.internal/v1. Required.
	URL string

	// HTTP sends the requests. Its transport is the place for discovery, retries, TLS and
	// tracing. Redirects are not followed: they are errors. Default: http.DefaultClient, which
	// has no timeout of its own; the context has the deadline.
	HTTP *http.Client

	// Prepare may add to a request before it is sent, such as who asks (Authorization), or the
	// trace context (with OpenTelemetry: propagation.TraceContext{}.Inject on its header). An
	// error ends the call. Default: nothing is added.
	Prepare func(r *http.Request) error

	// AnswerBytes is the most that an answer may have. Default: 4 MiB.
	AnswerBytes int64
}

const defaultAnswerBytes = 4 << 20

// call is one request to another service.
type call struct {
	*Client
	what string // such as "query get_order"
	name string
}

// received is what came back.
type received struct {
	connected bool // the request may have been sent
	status    int
	header    http.Header
	body      []byte
}

// url returns the address of the name.
func (c call) url(prefix string, parameters url.Values) (string, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return "", fmt.Errorf("%s: Client.URL %q is no base address such as http://orders.internal/v1", c.what, c.URL)
	}
	at := strings.TrimSuffix(base.String(), "/") + prefix + url.PathEscape(c.name)
	if len(parameters) > 0 {
		at += "?" + parameters.Encode()
	}
	return at, nil
}

// send sends the request and returns its answer, whatever that is. An error is one of the way
// there or back.
func (c call) send(r *http.Request) (received, error) {
	sender := *cmp.Or(c.HTTP, http.DefaultClient)
	sender.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var connected atomic.Bool
	response, err := sender.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})))
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the address, whose parameters are not for logs
	}
	if err != nil {
		return received{connected: connected.Load()}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := c.read(response)
	return received{true, response.StatusCode, response.Header, body}, err
}

func (c call) read(response *http.Response) ([]byte, error) {
	limit := cmp.Or(c.AnswerBytes, defaultAnswerBytes)
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("the answer was cut off: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, &uselessError{fmt.Errorf("the answer has more than the %d bytes of Client.AnswerBytes", limit)}
	}
	return body, nil
}

// decodeInto reads an answer with status 200 into the value. Numbers keep their digits where
// the value has no type for them.
func (r received) decodeInto(value any) error {
	if media := r.media(); media != "application/json" {
		return &uselessError{fmt.Errorf("the answer is %q and not application/json", media)}
	}
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.UseNumber()
	if err := decoder.Decode(value); err != nil {
		return &uselessError{fmt.Errorf("the answer does not fit: %w", err)}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &uselessError{errors.New("the answer is more than one value")}
	}
	return nil
}

func (r received) media() string {
	media, _, _ := mime.ParseMediaType(r.header.Get("Content-Type")) // of what is none it is empty
	return media
}

// problem returns what the service told; nil if it did not.
func (r received) problem() *Problem {
	told := new(Problem)
	if r.media() == "application/problem+json" && json.Unmarshal(r.body, told) == nil {
		told.Status, told.RetryAfter = r.status, retryAfter(r.header)
		return told
	}
	return nil
}

// retryAfter reads the header in its form of seconds, the one that this package writes.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// newRequest makes a request of the method to the name.
func (c call) newRequest(ctx context.Context, method, prefix string, parameters url.Values, body []byte) (*http.Request, error) {
	at, err := c.url(prefix, parameters)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.what, err)
	}
	r.Header.Set("Accept", "application/json, application/problem+json")
	if c.Prepare != nil {
		if err := c.Prepare(r); err != nil {
			return nil, fmt.Errorf("%s: prepare the request: %w", c.what, err)
		}
	}
	return r, nil
}
