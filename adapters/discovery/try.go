package discovery

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTryTimeout says that an endpoint has not begun to answer within TransportOptions.TryTimeout.
// Its Timeout method says yes.
var ErrTryTimeout error = tryTimeoutError{}

type tryTimeoutError struct{}

func (tryTimeoutError) Error() string { return "no answer within the time of a try" }
func (tryTimeoutError) Timeout() bool { return true }

// result is how a try, or a request after all its tries, has ended.
type result struct {
	response *http.Response
	err      error
	verdict  verdict
	cause    error // of a failure, for logs and errors to come
}

// send gives the request to endpoints until one has answered, nothing more may be tried, or
// there is nothing to gain from it.
func (s *service) send(r *http.Request) result {
	body := hold(r)
	defer body.done()
	mayRepeat := repeatable(r)
	var tried []*endpoint
	next, ok := s.pick(time.Now(), tried, mayRepeat)
	if !ok {
		return result{err: fmt.Errorf("service %s: %w", s.name, ErrNoEndpoints)}
	}
	for {
		last := s.try(r, body, next)
		tried = append(tried, next.endpoint)
		if last.verdict == ours || last.verdict == answered || last.verdict != unsent && !mayRepeat || len(tried) >= s.options.Tries || !body.again() {
			return last
		}
		if next, ok = s.pick(time.Now(), tried, mayRepeat); !ok {
			return last
		}
		if !s.spend() {
			s.settle(next, ours, 0, nil)
			s.release(next.endpoint)
			return last
		}
		if last.response != nil {
			last.response.Body.Close()
		}
	}
}

// try sends the request to one endpoint.
func (s *service) try(r *http.Request, body *heldBody, c choice) (ended result) {
	ctx, cancel := context.WithCancelCause(r.Context())
	var retryIn time.Duration
	over := sync.OnceFunc(func() {
		cancel(nil)
		s.release(c.endpoint)
	})
	defer func() {
		s.settle(c, ended.verdict, retryIn, ended.cause)
		if ended.response == nil {
			over()
		}
	}()
	began, connected := atomic.Bool{}, atomic.Bool{}
	out, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { began.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true); body.sent.Store(true) },
	}), r, body)
	if err != nil {
		return result{err: err}
	}
	timer := time.AfterFunc(s.options.TryTimeout, func() { cancel(ErrTryTimeout) })
	response, err := c.pool.RoundTrip(out)
	if !timer.Stop() && err == nil { // its body could not be read any more
		response.Body.Close()
		err = ErrTryTimeout
	}
	if err != nil {
		return s.failure(r, c.endpoint, err, began.Load() && !body.broke.Load(), connected.Load())
	}
	response.Request = r
	response.Body = readBy(response.Body, over)
	v := byStatus(r, response)
	if v != answered {
		retryIn = retryAfter(response, time.Now())
		ended.cause = fmt.Errorf("endpoint %s: it answered %s", c.id(), response.Status)
	}
	return result{response: response, verdict: v, cause: ended.cause}
}

// request is r as it is sent to the endpoint.
func (c choice) request(ctx context.Context, r *http.Request, body *heldBody) (*http.Request, error) {
	if r.URL.Scheme == "https" && c.scheme() != "https" {
		return nil, fmt.Errorf("endpoint %s is not https, as the URL asks", c.id())
	}
	there, err := c.at(r.URL)
	if err != nil {
		return nil, err
	}
	out := r.WithContext(ctx)
	out.URL = there
	if r.Host == "" || r.Host == r.URL.Host {
		out.Host = c.authority(r.URL.Host)
	}
	out.Body, err = body.next()
	return out, err
}

// failure tells whose an error is.
func (s *service) failure(r *http.Request, e *endpoint, err error, began, connected bool) result {
	ended := result{err: fmt.Errorf("service %s, endpoint %s: %w", s.name, e.id(), err), verdict: failed}
	switch {
	case r.Context().Err() != nil || !began: // the caller has left or gave no body, or what is around the endpoint did not go there
		ended.verdict = ours
	case !connected:
		ended.verdict = unsent
	}
	if ended.verdict.isFailure() {
		ended.cause = ended.err
	}
	return ended
}

// readBy calls over once the body is read or closed.
func readBy(body io.ReadCloser, over func()) io.ReadCloser {
	if body == http.NoBody {
		over()
		return body
	}
	read := &answerBody{body, over}
	if both, ok := body.(io.ReadWriteCloser); ok { // 101 Switching Protocols
		return struct {
			*answerBody
			io.Writer
		}{read, both}
	}
	return read
}

type answerBody struct {
	io.ReadCloser

	over func()
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.over()
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.over()
	return err
}
