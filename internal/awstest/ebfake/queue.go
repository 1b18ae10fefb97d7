package ebfake

import (
	"crypto/md5" //nolint:gosec // SQS sends it, and the SDK checks it
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"
)

// Queue is a standard queue.
type Queue struct {
	URL, ARN string

	mu       sync.Mutex
	messages []*message
	next     int
	added    chan struct{} // closed when one is added
	dead     *Queue
	redrive  int
	onDelete func() bool
	extended chan struct{} // for each change of a visibility
	hurry    bool
}

type message struct {
	id        int
	body      string
	handle    string
	received  int
	invisible time.Time // until
}

// manyChanges is more than a test waits for.
const manyChanges = 1000

// Queue makes a queue.
func (f *Fake) Queue(name string) *Queue {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := &Queue{URL: f.server.URL + "/" + account + "/" + name, ARN: "arn:aws:sqs:" + region + ":" + account + ":" + name, added: make(chan struct{}), extended: make(chan struct{}, manyChanges)}
	f.queues[name] = q
	return q
}

// Redrive sends what was received so often, and not deleted, to another queue.
func (q *Queue) Redrive(after int, to *Queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.redrive, q.dead = after, to
}

// OnDelete is asked before messages are deleted; with false the request is lost.
func (q *Queue) OnDelete(ask func() bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.onDelete = ask
}

// Hurry has time pass quickly for who receives: an empty queue answers at once, and what is not visible is
// so again when there is nothing else, though it may still be being handled.
func (q *Queue) Hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hurry = true
}

// Len returns how many messages there are, visible or not.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Extended receives at each change of a message's visibility, the first thousand of them.
func (q *Queue) Extended() <-chan struct{} { return q.extended }

// ShowAll makes every message visible, as the end of its time does.
func (q *Queue) ShowAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		m.invisible = time.Time{}
	}
	q.wake()
}

// Send adds a message.
func (q *Queue) Send(body string) { q.add(body) }

func (q *Queue) add(body string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	q.messages = append(q.messages, &message{id: q.next, body: body})
	q.wake()
}

func (q *Queue) wake() {
	close(q.added)
	q.added = make(chan struct{})
}

type receivedMessage struct {
	MessageID     string `json:"MessageId"`
	ReceiptHandle string
	Body          string
	MD5OfBody     string
}

func (f *Fake) receive(r *http.Request, in struct {
	QueueURL                                                string `json:"QueueUrl"`
	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout int
},
) (any, *fault) {
	q, wrong := f.queue(in.QueueURL)
	if wrong != nil {
		return nil, wrong
	}
	deadline := time.After(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		got, added := q.take(in.MaxNumberOfMessages, time.Duration(in.VisibilityTimeout)*time.Second)
		if len(got) > 0 || added == nil {
			return map[string]any{"Messages": got}, nil
		}
		select {
		case <-added:
		case <-time.After(20 * time.Millisecond): // one may have become visible
		case <-deadline:
			return map[string]any{}, nil
		case <-r.Context().Done():
			return nil, errGone
		}
	}
}

func (q *Queue) take(most int, visibility time.Duration) (got []receivedMessage, added <-chan struct{}) { // nil: do not wait
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var stay []*message
	for _, m := range q.messages {
		switch {
		case len(got) == most || now.Before(m.invisible):
		case q.dead != nil && m.received >= q.redrive:
			q.dead.add(m.body)
			continue
		default:
			m.received++
			m.invisible, m.handle = now.Add(visibility), fmt.Sprintf("%d.%d", m.id, m.received)
			sum := md5.Sum([]byte(m.body)) //nolint:gosec // SQS sends it
			got = append(got, receivedMessage{strconv.Itoa(m.id), m.handle, m.body, hex.EncodeToString(sum[:])})
		}
		stay = append(stay, m)
	}
	q.messages = stay
	if !q.hurry || len(got) > 0 {
		return got, q.added
	}
	for _, m := range q.messages {
		m.invisible = time.Time{}
	}
	return nil, nil
}

type batch struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []struct {
		ID                string `json:"Id"`
		ReceiptHandle     string
		VisibilityTimeout int
	}
}

func (f *Fake) remove(_ *http.Request, in batch) (any, *fault) {
	q, wrong := f.queue(in.QueueURL)
	if wrong != nil {
		return nil, wrong
	}
	q.mu.Lock()
	ask := q.onDelete
	q.mu.Unlock()
	if ask != nil && !ask() {
		return nil, errGone
	}
	return q.each(in, func(at int, _ int) {
		q.messages = append(q.messages[:at], q.messages[at+1:]...)
	}), nil
}

func (f *Fake) changeVisibility(_ *http.Request, in batch) (any, *fault) {
	q, wrong := f.queue(in.QueueURL)
	if wrong != nil {
		return nil, wrong
	}
	return q.each(in, func(at, entry int) {
		select {
		case q.extended <- struct{}{}:
		default:
		}
		q.messages[at].invisible = time.Now().Add(time.Duration(in.Entries[entry].VisibilityTimeout) * time.Second)
	}), nil
}

// each does something with each message of a batch that has the receipt of its last delivery.
func (q *Queue) each(in batch, do func(at, entry int)) any {
	q.mu.Lock()
	defer q.mu.Unlock()
	done := []map[string]string{}
	for n, e := range in.Entries {
		for at, m := range q.messages {
			if m.handle != "" && m.handle == e.ReceiptHandle {
				do(at, n)
				break
			}
		}
		done = append(done, map[string]string{"Id": e.ID}) // a receipt that is old does nothing
	}
	return map[string]any{"Successful": done, "Failed": []any{}}
}

func (f *Fake) attributes(_ *http.Request, in struct {
	QueueURL string `json:"QueueUrl"`
},
) (any, *fault) {
	q, wrong := f.queue(in.QueueURL)
	if wrong != nil {
		return nil, wrong
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	visible, now := 0, time.Now()
	for _, m := range q.messages {
		if !now.Before(m.invisible) {
			visible++
		}
	}
	return map[string]any{"Attributes": map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(q.messages) - visible),
		"ApproximateNumberOfMessagesDelayed":    "0",
	}}, nil
}

func (f *Fake) queue(url string) (*Queue, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q := f.queues[path.Base(url)]; q != nil {
		return q, nil
	}
	return nil, &fault{"QueueDoesNotExist", "there is no queue " + url}
}

// Drop loses that many of the messages that are there, the first ones.
func (q *Queue) Drop(count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = q.messages[min(count, len(q.messages)):]
}
