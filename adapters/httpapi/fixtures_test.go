package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The domain: accounts that must not go below zero.

type (
	Deposit struct {
		Account string `json:"account"`
		Cents   int32  `json:"cents"`
		Note    *string
		Lines   []Line `json:"lines"`
	}
	Line     struct{ Quantity uint8 }
	Withdraw struct {
		Account string `json:"account"`
		Cents   int32  `json:"cents"`
	}
	Fail struct {
		How string
	}
	GetBalance struct {
		ID string `json:"id"`
	}
	Echo struct { // every kind of parameter
		ID     string     `json:"id"`
		Min    *int16     `json:"min"`
		Tags   []string   `json:"tag"`
		Sizes  []uint16   `json:"size"`
		Since  time.Time  `json:"since"`
		Until  *time.Time `json:"until"`
		Exact  bool       `json:"exact"`
		Factor float32    `json:"factor"`
		Hidden string     `json:"-"`
		Paging
	}
	Paging struct {
		Limit uint8 `json:"limit"`
	}
	Balance struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
	Moved struct{ Cents int64 }
)

func (d Deposit) Validate() error {
	if d.Cents <= 0 {
		return errors.New("cents: nothing to deposit")
	}
	return nil
}

var (
	Accounts = aggregate.Define("account",
		func(e Moved, balance *int64) { *balance += e.Cents },
		codec.Event[Moved]("account.moved"))
	Balances = projection.NewView("balances", projection.ViewOptions{Version: 1},
		projection.When(func(b *Balance, e Moved, _ eventstore.Recorded) { b.Cents += e.Cents }))

	errInsufficient = errors.New("insufficient funds")
	errSecret       = errors.New("password=hunter2")
)

func move(cents int64) aggregate.Decision[int64, Moved] {
	return func(balance int64) ([]Moved, error) {
		if balance+cents < 0 {
			return nil, errInsufficient
		}
		return []Moved{{cents}}, nil
	}
}

// commandsOver has the commands of a service on the store. Fail fails as fails says.
func commandsOver(store aggregate.Store, fails map[string]error) *command.Bus {
	accounts := aggregate.NewRepository(store, Accounts)
	bus := command.NewBus(command.Validate())
	command.Handle(bus, "account.deposit", func(ctx context.Context, c Deposit) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, move(int64(c.Cents)))
	})
	command.Handle(bus, "account.withdraw", func(ctx context.Context, c Withdraw) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, move(-int64(c.Cents)))
	})
	command.Handle(bus, "fail", func(ctx context.Context, c Fail) (eventstore.Receipt, error) {
		switch c.How {
		case "panic":
			panic(errSecret)
		case "wait":
			<-ctx.Done()
			return eventstore.Receipt{}, ctx.Err()
		default:
			return eventstore.Receipt{}, fails[c.How]
		}
	})
	return bus
}

// queriesOver answers get_balance from the sink, and fail as fails says.
func queriesOver(sink projection.Sink, fails map[string]error) *query.Bus {
	balances := projection.NewReader(sink, Balances)
	bus := query.NewBus()
	query.Handle(bus, "get_balance", func(ctx context.Context, q GetBalance) (Balance, error) {
		return balances.Get(ctx, q.ID)
	}, query.Reads("balances"))
	query.Handle(bus, "fail", func(ctx context.Context, q Fail) (any, error) {
		if q.How == "wait" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, fails[q.How]
	})
	query.Handle(bus, "echo", func(_ context.Context, q Echo) (Echo, error) { return q, nil }) // what was understood
	return bus
}

// service is a store with both buses over HTTP.
type service struct {
	*memory.Store
	http.Handler
	sink *memory.Sink
	logs *strings.Builder
}

func newService(options httpapi.Options, fails map[string]error) service {
	s := service{Store: memory.NewStore(), sink: memory.NewSink(), logs: new(strings.Builder)}
	options.Logger = slog.New(slog.NewTextHandler(s.logs, nil))
	mux := http.NewServeMux()
	mux.Handle("/commands/", httpapi.Commands(commandsOver(s.Store, fails), options))
	queries := queriesOver(s.sink, fails)
	queries.Follow(query.NewHead(s.Store))
	mux.Handle("/queries/", httpapi.Queries(queries, options))
	s.Handler = mux
	return s
}

// catchUp lets the projection apply what there is.
func (s service) catchUp(t testing.TB) {
	t.Helper()
	require.NoError(t, s.project(t.Context()))
}

func (s service) project(ctx context.Context) error {
	runner := projection.Runner{Log: s.Store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(s.sink, Balances)}}
	return runner.CatchUp(ctx)
}

func (s service) head(t testing.TB) eventstore.Position {
	t.Helper()
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	return head.Position
}

// post sends a command; headers are "Name: value".
func post(h http.Handler, name, body string, headers ...string) *httptest.ResponseRecorder {
	return do(h, http.MethodPost, "/commands/"+name, body, append([]string{"Content-Type: application/json"}, headers...)...)
}

func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	return do(h, http.MethodGet, "/queries/"+path, "", headers...)
}

func do(h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// told returns the problem of an answer, which must be one, with what all have.
func told(t testing.TB, w *httptest.ResponseRecorder, status int, kind string) httpapi.Problem {
	t.Helper()
	require.Equal(t, status, w.Code, w.Body)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	var problem httpapi.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
	require.Equal(t, status, problem.Status)
	require.Equal(t, kind, problem.Type)
	require.NotEmpty(t, problem.Title)
	return problem
}

func receiptOf(t testing.TB, w *httptest.ResponseRecorder) httpapi.Receipt {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var receipt httpapi.Receipt
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &receipt))
	return receipt
}

func recorded(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func handled[C any](context.Context, C) (eventstore.Receipt, error) {
	return eventstore.Receipt{}, nil
}
