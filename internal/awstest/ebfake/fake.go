// Package ebfake is an EventBridge and an SQS in the process, on loopback, for the SDK's own clients: PutEvents
// with rules, archives and replays, and queues as their targets. It does what the real ones may do: it
// refuses single entries, delivers twice and in another order, and replays in any order.
//
// Patterns know exact values, prefix and exists. Queues are standard ones, with visibility and redrive. Its
// clock is the machine's.
package ebfake

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Options are what the bus does wrong. The zero value does nothing wrong.
type Options struct {
	Seed uint64
	// Twice is the share of deliveries that come twice, 0 to 1.
	Twice float64
	// Disorder is how many deliveries wait at a time, of which any is the next. Default: none, they
	// come in order.
	Disorder int
	// Fails is the share of entries that are refused for now, 0 to 1.
	Fails float64
}

// Fault is what goes wrong with an entry, or with the request that it is in.
type Fault string

// The faults. Refused lasts until it is taken back, the others are for the next time.
const (
	Fine       Fault = ""
	Busy       Fault = "InternalFailure"
	Throttled  Fault = "ThrottlingException"
	Refused    Fault = "InvalidArgument"
	Lost       Fault = "lost"
	AnswerLost Fault = "answer lost"
)

// Event is an event as the bus delivers it.
type Event struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       time.Time       `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Replay     string          `json:"replay-name,omitempty"`
	Detail     json.RawMessage `json:"detail"`
}

// Fake is the service. Its methods may be called at any time.
type Fake struct {
	server *httptest.Server

	mu       sync.Mutex
	options  Options
	random   *rand.Rand
	faults   map[string]Fault // by the id in the detail
	requests []int            // entries of each PutEvents
	taken    []Event
	waiting  []delivery
	rules    map[string]*rule
	archives map[string]*archive
	replays  map[string]*replay
	queues   map[string]*Queue
}

type delivery struct {
	queue *Queue
	body  string
}

// New starts a fake. Close ends it.
func New(options Options) *Fake {
	f := &Fake{
		options: options, random: rand.New(rand.NewPCG(options.Seed, 1)),
		faults: map[string]Fault{}, rules: map[string]*rule{}, archives: map[string]*archive{}, replays: map[string]*replay{}, queues: map[string]*Queue{},
	}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	return f
}

// Close ends the fake, and the calls that are under way.
func (f *Fake) Close() {
	f.server.CloseClientConnections()
	f.server.Close()
}

// URL is where clients find it.
func (f *Fake) URL() string { return f.server.URL }

// EventBridge returns a client that tries nothing twice by itself.
func (f *Fake) EventBridge() *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{Region: region, BaseEndpoint: &f.server.URL, Credentials: credentials, Retryer: aws.NopRetryer{}, HTTPClient: f.server.Client()})
}

// SQS returns a client that tries nothing twice by itself.
func (f *Fake) SQS() *sqs.Client {
	return sqs.New(sqs.Options{Region: region, BaseEndpoint: &f.server.URL, Credentials: credentials, Retryer: aws.NopRetryer{}, HTTPClient: f.server.Client()})
}

const (
	region  = "eu-central-1"
	account = "000000000000"
	arns    = "arn:aws:events:" + region + ":" + account + ":"
)

var credentials = aws.CredentialsProviderFunc(staticCredentials)

// Break has the bus do something wrong with the entry whose detail has that id.
func (f *Fake) Break(id string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[id] = fault
}

// Taken returns the details of the entries that the bus has taken, in this order, repeats included.
func (f *Fake) Taken() (details []json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.taken {
		details = append(details, e.Detail)
	}
	return details
}

// Requests returns how many entries each PutEvents had.
func (f *Fake) Requests() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int(nil), f.requests...)
}

// Flush delivers what waits.
func (f *Fake) Flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliver(0)
}

// serve answers a call in the protocol of AWS, awsJson.
func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	call, known := f.calls()[action]
	if !known {
		refuse(w, &fault{"UnknownOperationException", action})
		return
	}
	var in json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, &fault{"SerializationException", err.Error()})
		return
	}
	out, wrong := call(r, in)
	switch {
	case wrong == errGone:
		panic(http.ErrAbortHandler) // the client sees a connection that breaks
	case wrong != nil:
		refuse(w, wrong)
	default:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(out) //nolint:errchkjson // the client is gone
	}
}

// fault is an error of the service.
type fault struct{ code, message string }

// errGone breaks the connection off.
var errGone = &fault{}

func refuse(w http.ResponseWriter, wrong *fault) {
	w.Header().Set("X-Amzn-Errortype", wrong.code)
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": wrong.code, "message": wrong.message}) //nolint:errchkjson // the client is gone
}

// call decodes what a call wants, and answers it.
type call func(r *http.Request, in json.RawMessage) (any, *fault)

func answer[In any](do func(r *http.Request, in In) (any, *fault)) call {
	return func(r *http.Request, text json.RawMessage) (any, *fault) {
		var in In
		if err := json.Unmarshal(text, &in); err != nil {
			return nil, &fault{"SerializationException", err.Error()}
		}
		return do(r, in)
	}
}

func (f *Fake) calls() map[string]call {
	return map[string]call{
		"PutEvents":      answer(f.putEvents),
		"PutRule":        answer(f.putRule),
		"PutTargets":     answer(f.putTargets),
		"CreateArchive":  answer(f.createArchive),
		"StartReplay":    answer(f.startReplay),
		"DescribeReplay": answer(f.describeReplay),

		"ReceiveMessage":               answer(f.receive),
		"DeleteMessageBatch":           answer(f.remove),
		"ChangeMessageVisibilityBatch": answer(f.changeVisibility),
		"GetQueueAttributes":           answer(f.attributes),
	}
}
