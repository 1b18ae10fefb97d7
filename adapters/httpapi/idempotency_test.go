package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
)

// stores are the ones that the promise is tested on.
var stores = map[string]func(t *testing.T) aggregate.Store{
	"memory": func(*testing.T) aggregate.Store { return memory.NewStore() },
	"sqlite": func(t *testing.T) aggregate.Store {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "leftfold.db"), sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(t.Context()))) })
		return store
	},
	"postgres": func(t *testing.T) aggregate.Store { return postgrestest.Open(t) },
}

func TestSixtyFourRequestsUnderOneKeyAreOneCommand(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, checkOneKeyIsOneCommand(t, open(t), func(store aggregate.Store) http.Handler {
				return httpapi.Commands(commandsOver(store, nil), httpapi.Options{Logger: quiet})
			}))
		})
	}
}

// The twin remembers answers by their key in the process, as many do, and not in the store.
func TestPlantedBugKeysInMemoryAreFound(t *testing.T) {
	err := checkOneKeyIsOneCommand(t, memory.NewStore(), func(store aggregate.Store) http.Handler {
		return &remembering{next: httpapi.Commands(commandsOver(store, nil), httpapi.Options{Logger: quiet}), answers: map[string]*httptest.ResponseRecorder{}}
	})
	require.Error(t, err, "the mutant survived")
	t.Logf("caught: %v", err)
}

// checkOneKeyIsOneCommand sends a command 64 times at once, from processes of two, and once
// more when all of them have been started anew: there must be one effect, and one receipt.
func checkOneKeyIsOneCommand(t *testing.T, store aggregate.Store, start func(aggregate.Store) http.Handler) error {
	const body, key = `{"account":"ada","cents":1}`, `Idempotency-Key: "1"`
	processes := []http.Handler{start(store), start(store)}
	answers := make([]*httptest.ResponseRecorder, 65)
	var sending sync.WaitGroup
	for n := range 64 {
		sending.Go(func() { answers[n] = post(processes[n%2], "account.deposit", body, key) })
	}
	sending.Wait()
	answers[64] = post(start(store), "account.deposit", body, key)

	first, firsts := receiptOf(t, answers[0]), 0
	for n, answer := range answers {
		receipt := receiptOf(t, answer)
		if !receipt.Repeated {
			firsts++
		}
		if receipt.Position != first.Position || receipt.Versions["account-ada"] != 1 {
			return fmt.Errorf("answer %d is %+v, the first was %+v", n, receipt, first)
		}
	}
	if head, err := store.Head(t.Context()); err != nil || head.Position != 1 || firsts != 1 {
		return fmt.Errorf("%d events and %d first receipts, want one of each (%w)", head.Position, firsts, err)
	}
	return nil
}

// remembering keeps answers by their key, and sends commands on without it.
type remembering struct {
	next http.Handler

	mu      sync.Mutex
	answers map[string]*httptest.ResponseRecorder
}

func (h *remembering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	r.Header.Del("Idempotency-Key")
	answer, ok := h.answers[key]
	if !ok {
		answer = recorded(h.next, r)
		h.answers[key] = answer
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}
