package lambdaruntime

import (
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const maxPayload = 6 << 20 // 6 MB, of events and answers

// api is the Runtime API and as much of the Extensions API as a function needs.
type api struct {
	pending chan *invocation // to the next that asks

	mu        sync.Mutex
	underWay  map[string]*invocation
	extension bool
	init      string // the body of an init error
}

// invocation is an event on its way.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	answered chan Answer // of one
}

func newAPI() *api { return &api{pending: make(chan *invocation), underWay: map[string]*invocation{}} }

func newInvocation(event []byte, timeout time.Duration) *invocation {
	return &invocation{rand.Text(), event, time.Now().Add(timeout), make(chan Answer, 1)}
}

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", a.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", a.answer(false))
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", a.answer(true))
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", a.initFailed)
	mux.HandleFunc("POST /2020-01-01/extension/register", a.register)
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // it has asked for no events
	})
	return mux
}

// next gives the event that comes next.
func (a *api) next(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case i := <-a.pending:
		a.mu.Lock()
		a.underWay[i.id] = i
		a.mu.Unlock()
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		header.Set("Lambda-Runtime-Trace-Id", "Root=1-"+i.id)
		header.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:test")
		_, _ = w.Write(i.event)
	}
}

// answer takes the answer to an event, once.
func (a *api) answer(failed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := Answer{Failed: failed}
		payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
		answer.Payload = payload
		if err != nil {
			answer.Payload, answer.Failed = []byte(`{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`), true
		}
		i := a.taken(r.PathValue("id"))
		switch {
		case i == nil:
			w.WriteHeader(http.StatusBadRequest)
			return
		case err != nil:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
		i.answered <- answer
	}
}

// taken removes an invocation from those under way; nil: it is none of them.
func (a *api) taken(id string) *invocation {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.underWay[id]
	delete(a.underWay, id)
	return i
}

func (a *api) initFailed(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.init = string(body)
	w.WriteHeader(http.StatusAccepted)
}

func (a *api) register(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.extension = true
	w.Header().Set("Lambda-Extension-Identifier", rand.Text())
	_, _ = io.WriteString(w, `{"functionName":"test","functionVersion":"$LATEST","handler":"bootstrap"}`)
}

func (a *api) isExtension() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.extension
}

func (a *api) initError() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.init
}
