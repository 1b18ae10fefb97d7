package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
)

// traffic places orders at the gateway.
type traffic struct {
	gateway string // URL
	meter   *meter
	begin   int64        // how many orders were placed before
	ended   func() int64 // how many orders have ended, ever
	looked  func() <-chan struct{}
}

// mostOpen is how many orders may be open at a time: who places more only waits longer in the end.
const mostOpen = 48

// stock is how many of an item are delivered at a time: enough for most orders.
const stock = 2000

// place places orders until ctx ends: the real ones from where the run before has ended, and then all of
// them again and again.
func (t *traffic) place(ctx context.Context) error {
	client := &httpapi.Client{URL: t.gateway, HTTP: &http.Client{Transport: t.meter}}
	for before := t.begin; ; {
		placed, err := feed.Place(ctx, client, t.orders(ctx, before), feed.Options{Stock: stock})
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // somebody has had enough
		case err != nil:
			return fmt.Errorf("place orders: %w", err)
		}
		before += int64(placed)
	}
}

// orders yields orders until the real ones are through, the first of which follows on so many. It waits
// while too many are open. Orders that come again have another id.
func (t *traffic) orders(ctx context.Context, before int64) iter.Seq2[api.Order, error] {
	return func(yield func(api.Order, error) bool) {
		at, placed := before-before%perRound(), before
		for o, err := range feed.Orders(data.Open()) {
			if at++; at <= before {
				continue
			}
			if before > 0 {
				o.ID = fmt.Sprintf("%s-r%d", o.ID, before)
			}
			for placed++; placed-t.ended() > mostOpen; {
				select {
				case <-t.looked():
				case <-ctx.Done():
					return
				}
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// perRound is how many orders the bundled invoices have.
var perRound = sync.OnceValue(func() (n int64) {
	for _, err := range feed.Orders(data.Open()) {
		if err == nil {
			n++
		}
	}
	return n
})

// meter measures the requests that go through it: an [http.RoundTripper].
type meter struct {
	mu       sync.Mutex
	answered []answer // by their time
	again    int64    // requests that failed, and are sent again
}

type answer struct {
	at   time.Time
	took time.Duration
}

// RoundTrip implements [http.RoundTripper]. The time is that until the answer is there as a whole.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || response.StatusCode >= http.StatusInternalServerError {
		if !errors.Is(err, context.Canceled) {
			m.mu.Lock()
			m.again++
			m.mu.Unlock()
		}
		return response, err
	}
	response.Body = &whole{ReadCloser: response.Body, ended: func() { m.add(began) }}
	return response, nil
}

func (m *meter) add(began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.answered = append(m.answered, answer{now, now.Sub(began)})
}

// whole says when a body has been read.
type whole struct {
	io.ReadCloser

	once  sync.Once
	ended func()
}

func (w *whole) Close() error {
	w.once.Do(w.ended)
	return w.ReadCloser.Close()
}

// measured are the requests since a moment.
type measured struct {
	n        int64
	p50, p99 time.Duration
}

func (m *meter) since(begin time.Time) measured {
	m.mu.Lock()
	from := len(m.answered)
	for from > 0 && m.answered[from-1].at.After(begin) {
		from--
	}
	took := make([]time.Duration, 0, len(m.answered)-from)
	for _, a := range m.answered[from:] {
		took = append(took, a.took)
	}
	m.mu.Unlock()
	if len(took) == 0 {
		return measured{}
	}
	slices.Sort(took)
	at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100] }
	return measured{int64(len(took)), at(50), at(99)}
}

func (m *meter) count() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.answered))
}

func (m *meter) repeats() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.again
}
