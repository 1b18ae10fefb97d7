package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Transport stands between a client of the SDK and an emulator, and makes the plan's faults.
// It knows calls of the JSON protocols, which name their operation in X-Amz-Target; the rest
// goes through. The SDK sees each fault as it would the service's, and retries what it
// retries.
type Transport struct {
	Over http.RoundTripper // where calls go
	Plan Plan

	made [Empty + 1]atomic.Int64
}

// Made returns how many faults of a kind were made: a test with none has shown nothing.
func (t *Transport) Made(kind Kind) int { return int(t.made[kind].Load()) }

// RoundTrip is one call, with at most one fault.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	kind := t.Plan.Next(operation)
	switch kind {
	case RequestLost:
		t.made[kind].Add(1)
		_ = request.Body.Close()
		return nil, io.ErrUnexpectedEOF
	case AnswerLost:
		return t.loseAnswer(request)
	case Throttled:
		return t.refuse(request, kind, http.StatusBadRequest, "ProvisionedThroughputExceededException")
	case ExpiredIterator:
		if operation == "GetRecords" {
			return t.refuse(request, kind, http.StatusBadRequest, "ExpiredIteratorException")
		}
	case Internal:
		return t.refuse(request, kind, http.StatusInternalServerError, "InternalFailure")
	case Partial:
		if batch, ok := batches[operation]; ok {
			return t.part(request, batch)
		}
	case Empty:
		if operation == "GetRecords" {
			return t.withoutRecords(request)
		}
	}
	return t.Over.RoundTrip(request)
}

// loseAnswer lets the service act, to the end.
func (t *Transport) loseAnswer(request *http.Request) (*http.Response, error) {
	answer, err := t.Over.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	t.made[AnswerLost].Add(1)
	return nil, io.ErrUnexpectedEOF
}

// refuse answers in the service's place.
func (t *Transport) refuse(request *http.Request, kind Kind, status int, code string) (*http.Response, error) {
	t.made[kind].Add(1)
	_, err := io.Copy(io.Discard, request.Body)
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]string{"__type": code, "message": "a planned fault"})
	if err != nil {
		return nil, err
	}
	return answerWith(request, status, text), nil
}

// batch says how an operation on several entries writes them.
type batch struct{ in, out, failed string }

var batches = map[string]batch{
	"PutRecords": {"Records", "Records", "FailedRecordCount"},
	"PutEvents":  {"Entries", "Entries", "FailedEntryCount"},
}

// part sends every other entry to the service, and refuses the rest: these it never sees. A
// batch of one is sent whole.
func (t *Transport) part(request *http.Request, b batch) (*http.Response, error) {
	var whole map[string]json.RawMessage
	var entries []json.RawMessage
	if err := decode(request.Body, &whole); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(whole[b.in], &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", b.in, err)
	}
	var sent []json.RawMessage
	for i := 0; i < len(entries); i += 2 {
		sent = append(sent, entries[i])
	}
	answer, err := t.forward(request, whole, b.in, sent)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	return t.merge(request, answer, b, len(entries))
}

// merge puts the refused entries back into the answer, each after the one that was taken.
func (t *Transport) merge(request *http.Request, answer *http.Response, b batch, count int) (*http.Response, error) {
	var whole map[string]json.RawMessage
	var taken, all []json.RawMessage
	if err := decode(answer.Body, &whole); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(whole[b.out], &taken); err != nil {
		return nil, fmt.Errorf("%s: %w", b.out, err)
	}
	var failed int
	if err := json.Unmarshal(whole[b.failed], &failed); err != nil {
		return nil, fmt.Errorf("%s: %w", b.failed, err)
	}
	for i := range count {
		if i%2 == 0 {
			all = append(all, taken[i/2])
			continue
		}
		all = append(all, json.RawMessage(`{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"a planned fault"}`))
		failed++
	}
	if count > 1 {
		t.made[Partial].Add(1)
	}
	text, err := replace(whole, map[string]any{b.out: all, b.failed: failed})
	if err != nil {
		return nil, err
	}
	return answerWith(request, http.StatusOK, text), nil
}

// withoutRecords answers in the service's place, with the caller's own iterator as the next.
func (t *Transport) withoutRecords(request *http.Request) (*http.Response, error) {
	var whole map[string]json.RawMessage
	if err := decode(request.Body, &whole); err != nil {
		return nil, err
	}
	t.made[Empty].Add(1)
	text, err := replace(map[string]json.RawMessage{}, map[string]any{
		"Records": []string{}, "NextShardIterator": whole["ShardIterator"], "MillisBehindLatest": 1000,
	})
	if err != nil {
		return nil, err
	}
	return answerWith(request, http.StatusOK, text), nil
}

// forward sends the request with one member changed.
func (t *Transport) forward(request *http.Request, whole map[string]json.RawMessage, member string, value any) (*http.Response, error) {
	text, err := replace(whole, map[string]any{member: value})
	if err != nil {
		return nil, err
	}
	changed := request.Clone(request.Context())
	changed.Body = io.NopCloser(bytes.NewReader(text))
	changed.ContentLength = int64(len(text))
	changed.Header.Del("Content-Length")
	return t.Over.RoundTrip(changed)
}

func replace(whole map[string]json.RawMessage, members map[string]any) ([]byte, error) {
	for name, value := range members {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		whole[name] = text
	}
	return json.Marshal(whole)
}

func decode(body io.ReadCloser, into any) error {
	err := json.NewDecoder(body).Decode(into)
	_ = body.Close()
	return err
}

func answerWith(request *http.Request, status int, text []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body:          io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)), Request: request,
	}
}
