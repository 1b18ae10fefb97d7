package ebfake

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func staticCredentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, nil
}

const (
	maxEntries      = 10
	maxRequestBytes = 1_000_000
)

type entry struct {
	Detail, DetailType, EventBusName, Source string
	Time                                     float64
}

func (e entry) size() int { return 14 + len(e.Source) + len(e.DetailType) + len(e.Detail) }

// id is that in the detail.
func (e entry) id() string {
	var detail struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal([]byte(e.Detail), &detail) // then it has none
	return detail.ID
}

type putResult struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

func (f *Fake) putEvents(_ *http.Request, in struct{ Entries []entry }) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := 0
	for _, e := range in.Entries {
		size += e.size()
	}
	switch {
	case len(in.Entries) < 1 || len(in.Entries) > maxEntries:
		return nil, &fault{"ValidationException", fmt.Sprintf("%d entries, want 1 to %d", len(in.Entries), maxEntries)}
	case size >= maxRequestBytes+1:
		return nil, &fault{"ValidationException", fmt.Sprintf("total size of the entries is %d", size)}
	case f.comes(in.Entries, Lost):
		return nil, errGone
	}
	f.requests = append(f.requests, len(in.Entries))
	answerLost := f.comes(in.Entries, AnswerLost)
	results, failed := make([]putResult, len(in.Entries)), 0
	for n, e := range in.Entries {
		if results[n] = f.take(e); results[n].ErrorCode != "" {
			failed++
		}
	}
	f.deliver(f.options.Disorder)
	if answerLost {
		return nil, errGone
	}
	return map[string]any{"Entries": results, "FailedEntryCount": failed}, nil
}

// comes reports whether the fault is to come, and takes it back then.
func (f *Fake) comes(entries []entry, fault Fault) bool {
	for _, e := range entries {
		if id := e.id(); f.faults[id] == fault {
			delete(f.faults, id)
			return true
		}
	}
	return false
}

// take takes an entry, or does not.
func (f *Fake) take(e entry) putResult {
	id := e.id()
	wrong := f.faults[id]
	if wrong != Refused {
		delete(f.faults, id)
	}
	var object map[string]json.RawMessage
	switch {
	case wrong != Fine:
		return putResult{ErrorCode: string(wrong), ErrorMessage: "as the test wants it"}
	case f.random.Float64() < f.options.Fails:
		return putResult{ErrorCode: string(Busy), ErrorMessage: "this may pass"}
	case e.Source == "" || e.DetailType == "" || len(e.DetailType) > 128:
		return putResult{ErrorCode: string(Refused), ErrorMessage: "source and detail type are required, of 128 characters at most"}
	case json.Unmarshal([]byte(e.Detail), &object) != nil:
		return putResult{ErrorCode: "MalformedDetail", ErrorMessage: "it is no JSON object"}
	}
	event := Event{
		Version: "0", ID: fmt.Sprintf("%032x", len(f.taken)+1), DetailType: e.DetailType, Source: e.Source, Account: account,
		Time: time.UnixMilli(int64(e.Time * 1000)).UTC(), Region: region, Resources: []string{}, Detail: json.RawMessage(e.Detail),
	}
	f.taken = append(f.taken, event)
	for _, a := range f.archives {
		if a.pattern.matches(event) {
			a.events = append(a.events, event)
		}
	}
	f.route(event, nil)
	return putResult{EventID: event.ID}
}

// route has the event wait for delivery to the rules that match; of a replay, those that it is for.
func (f *Fake) route(event Event, only []string) {
	for _, r := range f.rules {
		if r.bus == "" || !r.pattern.matches(event) || len(only) > 0 && !slices.Contains(only, r.arn) {
			continue
		}
		body, _ := json.Marshal(event) //nolint:errchkjson // texts and a time: it cannot fail
		for _, queue := range r.targets {
			f.waiting = append(f.waiting, delivery{queue, string(body)})
			if f.random.Float64() < f.options.Twice {
				f.waiting = append(f.waiting, delivery{queue, string(body)})
			}
		}
	}
}

// deliver delivers until so many wait.
func (f *Fake) deliver(left int) {
	for len(f.waiting) > left {
		at := 0
		if f.options.Disorder > 0 {
			at = f.random.IntN(len(f.waiting))
		}
		d := f.waiting[at]
		f.waiting = slices.Delete(f.waiting, at, at+1)
		d.queue.add(d.body)
	}
}
