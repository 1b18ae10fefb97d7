package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
)

var quiet = slog.New(slog.DiscardHandler)

// byToken knows principals by their token, which is their name.
func byToken(r *http.Request) (string, error) {
	switch token := r.Header.Get("Authorization"); token {
	case "":
		return "", nil // no decision
	case "panic":
		panic(errSecret)
	case "down":
		return "", fmt.Errorf("keys: %w", &httpapi.Problem{Status: http.StatusServiceUnavailable})
	case "forged":
		return "admin", errSecret
	default:
		return token, nil
	}
}

// byRole lets the admin do everything, and ada what concerns her.
func byRole(_ context.Context, r httpapi.Request) (httpapi.Verdict, error) {
	switch r.Principal {
	case "admin":
		return httpapi.Allow, nil
	case "ada":
		switch message := r.Message.(type) {
		case Deposit:
			if message.Account == "ada" {
				return httpapi.Allow, nil
			}
		case GetBalance:
			if message.ID == "ada" {
				return httpapi.Allow, nil
			}
		}
		return httpapi.Deny, nil
	case "panicked":
		panic(errSecret)
	case "erred":
		return httpapi.Allow, errSecret
	case "busy":
		return 0, &httpapi.Problem{Status: http.StatusServiceUnavailable}
	default:
		return 0, nil // no decision
	}
}

// Every route with every principal: only what is allowed in so many words is done.
func TestAccessIsDeniedByDefault(t *testing.T) {
	s := newService(httpapi.Options{Authenticate: byToken, Authorize: byRole, Challenge: `Bearer realm="bank"`}, nil)
	receiptOf(t, post(s, "account.deposit", `{"account":"bob","cents":1}`, "Authorization: admin"))
	receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":1}`, "Authorization: admin"))
	s.catchUp(t)
	routes := []func(token string) int{
		func(token string) int {
			return post(s, "account.deposit", `{"account":"ada","cents":1}`, "Authorization: "+token).Code
		},
		func(token string) int {
			return post(s, "account.deposit", `{"account":"bob","cents":1}`, "Authorization: "+token).Code
		},
		func(token string) int {
			return post(s, "account.withdraw", `{"account":"bob","cents":0}`, "Authorization: "+token).Code
		},
		func(token string) int { return get(s, "get_balance?id=ada", "Authorization: "+token).Code },
		func(token string) int { return get(s, "get_balance?id=bob", "Authorization: "+token).Code },
	}
	for token, want := range map[string][]int{
		"admin":    {200, 200, 200, 200, 200},
		"ada":      {200, 403, 403, 200, 403},
		"eve":      {403, 403, 403, 403, 403},
		"panicked": {403, 403, 403, 403, 403},
		"erred":    {403, 403, 403, 403, 403},
		"busy":     {503, 503, 503, 503, 503},
		"":         {401, 401, 401, 401, 401},
		"panic":    {401, 401, 401, 401, 401},
		"forged":   {401, 401, 401, 401, 401},
		"down":     {503, 503, 503, 503, 503},
	} {
		before := s.head(t)
		for n, route := range routes {
			assert.Equal(t, want[n], route(token), "route %d as %q", n, token)
		}
		if token != "admin" && token != "ada" {
			assert.Equal(t, before, s.head(t), token)
		}
	}
	w := post(s, "account.deposit", `{}`)
	told(t, w, http.StatusUnauthorized, httpapi.TypeUnauthenticated)
	assert.Equal(t, `Bearer realm="bank"`, w.Header().Get("WWW-Authenticate"))
	w = post(s, "account.deposit", `{"account":"bob","cents":1}`, "Authorization: ada")
	told(t, w, http.StatusForbidden, httpapi.TypeForbidden)
	assert.Empty(t, w.Header()["Www-Authenticate"])
	w = post(s, "account.steal", `{}`)
	told(t, w, http.StatusUnauthorized, httpapi.TypeUnauthenticated)
	assert.Contains(t, s.logs.String(), "hunter2", "what the hooks said is in the log")
}

func TestAPrincipalsKeysAreItsOwn(t *testing.T) {
	require.NoError(t, checkKeysAreScoped(t, func(s service) http.Handler {
		return httpapi.Commands(commandsOver(s.Store, nil), httpapi.Options{Authenticate: byToken, Logger: quiet})
	}))
}

// The twin forgets whose key it is.
func TestPlantedBugKeysOfNobodyAreFound(t *testing.T) {
	err := checkKeysAreScoped(t, func(s service) http.Handler {
		return httpapi.Commands(commandsOver(s.Store, nil), httpapi.Options{Logger: quiet})
	})
	require.Error(t, err, "the mutant survived")
	t.Logf("caught: %v", err)
}

// checkKeysAreScoped sends the same command under the same key as two principals: both must
// take effect, and the key of one must not tell the other anything.
func checkKeysAreScoped(t *testing.T, handler func(service) http.Handler) error {
	s := newService(httpapi.Options{}, nil)
	h := handler(s)
	const body, key = `{"account":"shared","cents":1}`, "Idempotency-Key: 1"
	for n, principal := range []string{"ada", "eve"} {
		for repeat := range 2 {
			receipt := receiptOf(t, post(h, "account.deposit", body, key, "Authorization: "+principal))
			if receipt.Repeated != (repeat == 1) {
				return fmt.Errorf("%s sent it %d times, repeated is %v", principal, repeat+1, receipt.Repeated)
			}
			if got := int(s.head(t)); got != n+1 {
				return fmt.Errorf("%d effects, want %d", got, n+1)
			}
		}
	}
	w := post(h, "account.deposit", `{"account":"shared","cents":2}`, key, "Authorization: eve")
	if w.Code != http.StatusUnprocessableEntity {
		return errors.New("eve's other command under her key was not refused")
	}
	return nil
}
