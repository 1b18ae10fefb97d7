package httpapi_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
)

func TestOfManyOnOneVersionOneIsAccepted(t *testing.T) {
	require.NoError(t, checkIfMatchCounts(t, asItIs))
}

// The twin loses the header on the way to the bus.
func TestPlantedBugIfMatchThatIsDroppedIsFound(t *testing.T) {
	caught(t, checkIfMatchCounts(t, without("If-Match")))
}

// checkIfMatchCounts sends a command 64 times at once, each made for an account that is not there
// yet: one is the first, and all others must be refused.
func checkIfMatchCounts(t *testing.T, wrap func(http.Handler) http.Handler) error {
	s := newService(httpapi.Options{}, nil)
	h := wrap(s)
	statuses := make([]int, 64)
	var sending sync.WaitGroup
	for n := range statuses {
		sending.Go(func() { statuses[n] = post(h, "account.deposit", `{"account":"ada","cents":1}`, `If-Match: "0"`).Code })
	}
	sending.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusPreconditionFailed] != len(statuses)-1 || s.head(t) != 1 {
		return fmt.Errorf("%d events, and answers by status %v; want one event, one 200 and else 412", s.head(t), count)
	}
	return nil
}

func TestAnAnswerThatMustIncludeACommandDoes(t *testing.T) {
	require.NoError(t, checkAfterCounts(t, asItIs))
}

// The twin loses the header on the way to the bus.
func TestPlantedBugTokensThatAreDroppedAreFound(t *testing.T) {
	caught(t, checkAfterCounts(t, without("Leftfold-After")))
}

// checkAfterCounts asks for what the read model has not applied yet: there must be no answer.
func checkAfterCounts(t *testing.T, wrap func(http.Handler) http.Handler) error {
	s := newService(httpapi.Options{}, nil)
	h := wrap(s)
	receiptOf(t, post(h, "account.deposit", `{"account":"ada","cents":5}`))
	s.catchUp(t)
	position := "Leftfold-After: " + receiptOf(t, post(h, "account.deposit", `{"account":"ada","cents":5}`)).Position
	if w := get(h, "get_balance?id=ada", position, "Prefer: wait=0"); w.Code != http.StatusServiceUnavailable {
		return fmt.Errorf("stale: %d %s", w.Code, w.Body)
	}
	s.catchUp(t)
	if w := get(h, "get_balance?id=ada", position, "Prefer: wait=0"); w.Body.String() != `{"ID":"ada","Cents":10}` {
		return fmt.Errorf("%d %s", w.Code, w.Body)
	}
	return nil
}

func asItIs(h http.Handler) http.Handler { return h }

// without returns what makes a handler that does not see the header.
func without(header string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del(header)
			next.ServeHTTP(w, r)
		})
	}
}

func caught(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err, "the mutant survived")
	t.Logf("caught: %v", err)
}
