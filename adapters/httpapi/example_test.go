package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/projection"
)

// A command that is repeated under its key takes effect once.
func ExampleCommands() {
	api := httpapi.Commands(commandsOver(memory.NewStore(), nil), httpapi.Options{})
	send := func(body string) {
		r := httptest.NewRequest(http.MethodPost, "/commands/account.deposit", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", `"salary-may"`)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("ETag"), w.Header().Get("Content-Type"))
	}
	send(`{"account":"ada","cents":2000}`)
	send(`{"account":"ada","cents":2000}`)
	send(`{"account":"ada","cents":9000}`)
	send(`{"account":"ada","Cents":2000}`)
	// Output:
	// 200 "1" application/json
	// 200 "1" application/json
	// 422  application/problem+json
	// 400  application/problem+json
}

// The position of a receipt makes a query see the command.
func ExampleQueries() {
	store, sink := memory.NewStore(), memory.NewSink()
	runner := projection.Runner{Log: store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(sink, Balances)}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- runner.Run(ctx) }()

	deposit := post(httpapi.Commands(commandsOver(store, nil), httpapi.Options{}), "account.deposit", `{"account":"ada","cents":2000}`)
	r := httptest.NewRequest(http.MethodGet, "/queries/get_balance?id=ada", nil)
	r.Header.Set("Leftfold-After", deposit.Header().Get("Leftfold-Position"))
	r.Header.Set("Prefer", "wait=10")
	w := httptest.NewRecorder()
	httpapi.Queries(queriesOver(sink, nil), httpapi.Options{}).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body, w.Header().Get("Preference-Applied"))
	stop()
	fmt.Println(<-ended)
	// Output:
	// 200 {"ID":"ada","Cents":2000} wait=10
	// <nil>
}

// A rule says who may do what. What it does not allow in so many words is refused.
func ExampleAuthorize() {
	own := func(_ context.Context, r httpapi.Request) (httpapi.Verdict, error) {
		if deposit, ok := r.Message.(Deposit); ok && deposit.Account == r.Principal {
			return httpapi.Allow, nil
		}
		return httpapi.Deny, nil
	}
	user := func(r *http.Request) (string, error) {
		name, _, _ := r.BasicAuth() // and check the password
		return name, nil
	}
	api := httpapi.Commands(commandsOver(memory.NewStore(), nil), httpapi.Options{Authenticate: user, Authorize: own, Challenge: "Basic"})
	for _, name := range []string{"ada", "eve", ""} {
		r := httptest.NewRequest(http.MethodPost, "/commands/account.deposit", strings.NewReader(`{"account":"ada","cents":1}`))
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth(name, "secret")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 200 ""
	// 403 ""
	// 401 "Basic"
}

// An error of yours becomes a problem of yours.
func ExampleProblem() {
	api := httpapi.Commands(commandsOver(memory.NewStore(), nil), httpapi.Options{Problem: func(err error) *httpapi.Problem {
		if errors.Is(err, errInsufficient) {
			return &httpapi.Problem{Type: "https://bank.example/poor", Title: "Insufficient funds", Status: http.StatusPaymentRequired}
		}
		return nil
	}})
	fmt.Println(post(api, "account.withdraw", `{"account":"ada","cents":1}`).Body)
	// Output: {"type":"https://bank.example/poor","title":"Insufficient funds","status":402}
}

// Serve ends when its context does, after the requests under way.
func ExampleServe() {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // in main: signal.NotifyContext
	stop()
	fmt.Println(httpapi.Serve(ctx, listener, http.NotFoundHandler(), httpapi.ServerOptions{Logger: quiet}))
	// Output: <nil>
}
