package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
)

// running is a server under test.
type running struct {
	url   string
	stop  context.CancelFunc
	ended chan error
}

func serve(t *testing.T, handler http.Handler, options httpapi.ServerOptions) running {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if options.Logger == nil {
		options.Logger = quiet
	}
	ctx, stop := context.WithCancel(t.Context())
	r := running{"http://" + listener.Addr().String(), stop, make(chan error, 1)}
	var serving sync.WaitGroup
	serving.Go(func() { r.ended <- httpapi.Serve(ctx, listener, handler, options) })
	t.Cleanup(func() {
		stop()
		_ = listener.Close() // ends a notice
		serving.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

func (r running) get(path string) (status int, body string, err error) {
	answer, err := http.Get(r.url + path)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(read), err
}

// held is a handler whose requests wait until they are let go, or their context ends.
type held struct{ came, letGo chan struct{} }

func newHeld() held { return held{make(chan struct{}, 9), make(chan struct{})} }

func (h held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.came <- struct{}{}
	select {
	case <-h.letGo:
		_, _ = io.WriteString(w, "done")
	case <-r.Context().Done():
		http.Error(w, "cut off", http.StatusServiceUnavailable)
	}
}

func TestStoppingWaitsForWhatIsUnderWay(t *testing.T) {
	handler := newHeld()
	s := serve(t, handler, httpapi.ServerOptions{})
	var status int
	var body string
	var got error
	var asking sync.WaitGroup
	asking.Go(func() { status, body, got = s.get("/") })
	<-handler.came
	s.stop()
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = connection.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "new connections are refused")
	select {
	case err := <-s.ended:
		t.Fatal("it did not wait", err)
	default:
	}
	close(handler.letGo)
	asking.Wait()
	require.NoError(t, got)
	assert.Equal(t, "200 done", fmt.Sprint(status, " ", body))
	require.NoError(t, <-s.ended)
}

func TestWhatDoesNotEndIsCutOffAndWaitedFor(t *testing.T) {
	handler := newHeld()
	s := serve(t, handler, httpapi.ServerOptions{Drain: time.Millisecond})
	var status int
	var got error
	var asking sync.WaitGroup
	asking.Go(func() { status, _, got = s.get("/") })
	<-handler.came
	s.stop()
	require.ErrorIs(t, <-s.ended, httpapi.ErrCutOff)
	asking.Wait()
	require.NoError(t, got)
	assert.Equal(t, http.StatusServiceUnavailable, status, "it could still answer")
}

// A client that sends half a body holds its handler in a read that no context ends.
func TestAClientThatStallsDoesNotHoldUpTheEnd(t *testing.T) {
	came, read := make(chan struct{}), make(chan error, 1)
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		_, err := io.ReadAll(r.Body)
		read <- err
	}), httpapi.ServerOptions{Drain: time.Millisecond})
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
	require.NoError(t, err)
	<-came
	s.stop()
	require.ErrorIs(t, <-s.ended, httpapi.ErrCutOff)
	require.Error(t, <-read, "the handler has ended before Serve did")
}

func TestReadinessIsLostBeforeConnectionsAreRefused(t *testing.T) {
	s := serve(t, http.NotFoundHandler(), httpapi.ServerOptions{Notice: time.Hour})
	status, body, err := s.get("/readyz")
	require.NoError(t, err)
	assert.Equal(t, `200 {"status":"ready"}`, fmt.Sprint(status, " ", body))
	s.stop()
	require.Eventually(t, func() bool {
		status, body, err = s.get("/readyz")
		return err == nil && status == http.StatusServiceUnavailable && body == `{"status":"stopping"}`
	}, 10*time.Second, time.Millisecond)
	status, _, err = s.get("/healthz")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status, "it lives, and goes on serving")
}

func TestReadinessIsWhatTheChecksSay(t *testing.T) {
	var logs strings.Builder
	var mu sync.Mutex
	var down error
	s := serve(t, http.NotFoundHandler(), httpapi.ServerOptions{
		Logger: slog.New(slog.NewTextHandler(&logs, nil)),
		Checks: map[string]httpapi.Check{
			"store": func(context.Context) error { mu.Lock(); defer mu.Unlock(); return down },
			"views": func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				if down != nil {
					panic(down)
				}
				return nil
			},
			"fine": func(context.Context) error { return nil },
		},
	})
	status, _, err := s.get("/readyz")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	mu.Lock()
	down = errSecret
	mu.Unlock()
	status, body, err := s.get("/readyz")
	require.NoError(t, err)
	assert.Equal(t, `503 {"status":"not ready","failed":["store","views"]}`, fmt.Sprint(status, " ", body))
	s.stop()
	require.NoError(t, <-s.ended)
	assert.Contains(t, logs.String(), "hunter2", "the log tells why")
}

func TestAListenerThatFailsEndsTheServer(t *testing.T) {
	s := serve(t, http.NotFoundHandler(), httpapi.ServerOptions{})
	_, _, err := s.get("/healthz")
	require.NoError(t, err)
	s.stop()
	require.NoError(t, <-s.ended)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	err = httpapi.Serve(t.Context(), listener, http.NotFoundHandler(), httpapi.ServerOptions{Logger: quiet})
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestClientsThatDawdleOrExaggerateAreDropped(t *testing.T) {
	s := serve(t, http.NotFoundHandler(), httpapi.ServerOptions{ReadHeaderTimeout: 10 * time.Millisecond, MaxHeaderBytes: 1 << 10})
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(connection, "GET / HTTP/1.1\r\nHost:")
	require.NoError(t, err)
	_, err = io.ReadAll(connection)
	require.NoError(t, err, "the server has hung up")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, nil)
	require.NoError(t, err)
	r.Header.Set("X", strings.Repeat("x", 10<<10))
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answer.StatusCode)
}

// A command that is under way when the server stops takes effect, and its client is told.
func TestACommandUnderWayIsFinished(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	came, letGo := make(chan struct{}), make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(came)
		<-letGo
		s.ServeHTTP(w, r)
	}), httpapi.ServerOptions{})
	var answer *http.Response
	var err error
	var sending sync.WaitGroup
	sending.Go(func() {
		answer, err = http.Post(server.url+"/commands/account.deposit", "application/json", strings.NewReader(`{"account":"ada","cents":1}`))
		err = errors.Join(err, answer.Body.Close())
	})
	<-came
	server.stop()
	close(letGo)
	sending.Wait()
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	require.NoError(t, <-server.ended)
	assert.EqualValues(t, 1, s.head(t))
}
