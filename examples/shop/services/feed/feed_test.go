package feed_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
)

// door is a gateway in memory. It is away for the first requests.
type door struct {
	away int

	mu   sync.Mutex
	keys []string
}

var takesAll = httpapi.Commands(func() *command.Bus {
	bus := command.NewBus()
	command.Handle(bus, "order.place", func(context.Context, api.Place) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	command.Handle(bus, "stock.receive", func(context.Context, api.Receive) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	return bus
}(), httpapi.Options{})

func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away--; d.away >= 0 {
		return nil, errors.New("nobody is there")
	}
	d.keys = append(d.keys, r.Header.Get("Idempotency-Key"))
	answer := httptest.NewRecorder()
	takesAll.ServeHTTP(answer, r)
	return answer.Result(), nil
}

func (d *door) client() *httpapi.Client {
	return &httpapi.Client{URL: "http://gateway", HTTP: &http.Client{Transport: d}}
}

// Time is virtual here.
func TestSoManyOrdersASecondArePlaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		placed, err := feed.Place(t.Context(), new(door).client(), feed.Orders(data.Open()), feed.Options{Most: 40, Rate: 20})
		require.NoError(t, err)
		assert.Equal(t, 40, placed)
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

// A feed that is begun again places nothing under a new key, and one that finds nobody tries again.
func TestAFeedMayBeBegunAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &door{away: 3}, new(door)
		var waits atomic.Int64
		for _, d := range []*door{first, second} {
			_, err := feed.Place(t.Context(), d.client(), feed.Orders(data.Open()), feed.Options{Most: 30, Waits: func(err error) {
				assert.ErrorContains(t, err, "nobody is there")
				waits.Add(1)
			}})
			require.NoError(t, err)
			slices.Sort(d.keys)
		}
		assert.EqualValues(t, 3, waits.Load())
		assert.Equal(t, first.keys, second.keys)
		assert.Len(t, slices.Compact(first.keys), len(second.keys), "each key once")
	})
}
