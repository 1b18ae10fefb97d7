package lambdaapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/query"
)

var quiet = slog.New(slog.DiscardHandler)

type (
	Deposit struct {
		Account string `json:"account"`
		Cents   int32  `json:"cents"`
	}
	GetBalance struct {
		Account string   `json:"account"`
		Tags    []string `json:"tag"`
	}
	Moved struct{ Cents int32 }
)

var Accounts = aggregate.Define("account", func(e Moved, balance *int32) { *balance += e.Cents }, codec.Event[Moved]("account.moved"))

// shop is a service: commands, queries, and a handler that tells what it was asked.
func shop() http.Handler {
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	commands, queries := command.NewBus(), query.NewBus()
	command.Handle(commands, "account.deposit", func(ctx context.Context, c Deposit) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, func(balance int32) ([]Moved, error) {
			if balance+c.Cents < 0 {
				return nil, errors.New("insufficient funds")
			}
			return []Moved{{c.Cents}}, nil
		})
	})
	query.Handle(queries, "balance", func(_ context.Context, q GetBalance) (GetBalance, error) { return q, nil })
	mux := http.NewServeMux()
	mux.Handle("/commands/", httpapi.Commands(commands, httpapi.Options{Logger: quiet}))
	mux.Handle("/queries/", httpapi.Queries(queries, httpapi.Options{Logger: quiet}))
	mux.HandleFunc("/status/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "some text")
		w.Header().Set("Late", "is not sent")
	})
	mux.HandleFunc("/binary", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0xd8, 0xff, 0, 1, 2}) })
	mux.HandleFunc("/nothing", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/many", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Vary"] = []string{"Accept", "Origin"}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", HttpOnly: true})
	})
	mux.HandleFunc("/echo/", echo)
	return mux
}

// echo tells all of a request that a handler may look at.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %q %q %q %q %s\n%d %q %v\n", r.Method, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.RequestURI, r.Host, r.ContentLength, body, err)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header[name], ","))
	}
	fmt.Fprintln(w, r.Cookies(), r.URL.Query(), r.Proto)
}

// The same requests, in order, to a service of each shape.
func TestAHandlerAnswersAsItDoesInAContainer(t *testing.T) {
	json := "Content-Type: application/json"
	requests := []string{
		raw("POST", "/commands/account.deposit", `{"account":"ada","cents":5}`, json, `Idempotency-Key: "1"`),
		raw("POST", "/commands/account.deposit", `{"account":"ada","cents":5}`, json, `Idempotency-Key: "1"`), // a repeat
		raw("POST", "/commands/account.deposit", `{"account":"ada","cents":6}`, json, `Idempotency-Key: "1"`), // another under its key
		raw("POST", "/commands/account.deposit", `{"account":"ada","cents":-9}`, json),
		raw("POST", "/commands/account.deposit", `{"account":"ada","cents":1}`, json, `If-Match: "7"`),
		raw("POST", "/commands/account.deposit", `{"account":"ada","cents":1}`, json, `If-Match: "1"`),
		raw("POST", "/commands/account.deposit", `{"account":"ada","Cents":1}`, json),
		raw("POST", "/commands/account.deposit", `{"account":`, json),
		raw("POST", "/commands/account.deposit", "", json),
		raw("POST", "/commands/account.deposit", `{}`),
		raw("POST", "/commands/account.deposit", strings.Repeat("x", 2<<20), json),
		raw("POST", "/commands/account.deposit", "{\"account\":\"\xff\"}", json),
		raw("POST", "/commands/unknown", `{}`, json),
		raw("GET", "/commands/account.deposit", ""),
		raw("GET", "/queries/balance?account=ad%20a&tag=1&tag=2%2B", ""),
		raw("GET", "/queries/balance?account=%zz", ""),
		raw("GET", "/queries/balance?acount=ada", ""),
		raw("HEAD", "/queries/balance?account=ada", ""),
		raw("GET", "/queries/balance?account=ada", "", "Leftfold-After: x"),
		raw("GET", "/echo/a%2Fb%20c/%C3%A4?x=1;y=2&z=%20+", "", "X-Many: 1", "X-Many: 2", "Cookie: a=1; b=2"),
		raw("PATCH", "/echo/", "\x00\xff binary"),
		raw("PUT", "/echo/text", "text", "Content-Type: text/plain"),
		raw("GET", "/echo", ""),         // redirected
		raw("GET", "/echo/../many", ""), // likewise
		raw("GET", "//echo/", ""),
		raw("GET", "/nowhere", ""),
		raw("GET", "/binary", ""), raw("HEAD", "/binary", ""), raw("GET", "/nothing", ""), raw("GET", "/many", ""),
		raw("GET", "/status/200", ""), raw("GET", "/status/204", ""), raw("GET", "/status/304", ""), raw("GET", "/status/418", ""), raw("HEAD", "/status/500", ""),
	}
	there, here := container(t, shop()), shop()
	for _, request := range requests {
		event, err := eventOf(request)
		require.NoError(t, err)
		assert.Equal(t, byContainer(t, there, request), byLambda(t, here, event), "%.200s", request)
	}
}

func FuzzAHandlerAnswersAsItDoesInAContainer(f *testing.F) {
	f.Add("GET", "/echo/%41%2f%", "a=b&c;d", "X-A", "1, 2", "body")
	f.Add("POST", "/commands/account.deposit", "", "Content-Type", "application/json", `{"account":"a","cents":1}`)
	f.Add("OPTIONS", "//echo/./..//x", "%", "Cookie", "a=1;b", "\xff")
	f.Add("GET", "/\"", "\"", "X-A", "1", "not escaped")
	there, here := container(f, http.HandlerFunc(echo)), http.HandlerFunc(echo)
	f.Fuzz(func(t *testing.T, method, path, query, name, value, body string) {
		header := name + ": " + value
		if !sendable(method, path, query, name, value) {
			return
		}
		request := raw(method, strings.TrimSuffix("/"+path+"?"+query, "?"), body, header)
		event, err := eventOf(request)
		if err != nil {
			return
		}
		assert.Equal(t, byContainer(t, there, request), byLambda(t, here, event))
	})
}

// sendable reports whether both shapes are given the same: what a gateway hands on, and no
// headers with which it ends the connection between it and the client.
func sendable(method, path, query, name, value string) bool {
	text := method + path + query + name + value
	plain := !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' && r != ' ' || r >= 0x7f }) && !strings.ContainsAny(method+path+query+name, " ")
	own := []string{"host", "connection", "content-length", "transfer-encoding", "trailer", "expect", "upgrade", "keep-alive", "te", "http2-settings", "cookie"}
	return plain && method != "" && method != "CONNECT" && !strings.ContainsAny(path+query, "?#") && name != "" && value == strings.TrimSpace(value) && !slices.Contains(own, strings.ToLower(name))
}
