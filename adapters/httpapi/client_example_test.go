package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// A query whose answer comes from another service, after what was just written there.
func ExampleAskRemote() {
	accounts := newService(httpapi.Options{}, nil)
	server := httptest.NewServer(accounts)
	defer server.Close()
	ctx := context.Background()
	client := &httpapi.Client{URL: server.URL}

	queries := query.NewBus()
	query.Handle(queries, "greeting", func(ctx context.Context, q struct{ ID string }) (string, error) {
		balance, err := httpapi.AskRemote[Balance](ctx, client, "get_balance", GetBalance{q.ID})
		return fmt.Sprintf("Hello %s, you have %d cents", balance.ID, balance.Cents), err
	})
	receipt, err := client.Dispatch(ctx, "account.deposit", Deposit{Account: "ada", Cents: 500, Lines: []Line{}}, "salary-may")
	fmt.Println(receipt.Versions, err)
	_, err = query.Ask[string](ctx, queries, struct{ ID string }{"ada"}, query.After(receipt.Token), query.Wait(0))
	_, late := errors.AsType[*query.NotCaughtUpError](err)
	fmt.Println("not there yet:", late)

	accounts.project(ctx)
	fmt.Println(query.Ask[string](ctx, queries, struct{ ID string }{"ada"}, query.After(receipt.Token)))
	// Output:
	// map[account-ada:1] <nil>
	// not there yet: true
	// Hello ada, you have 500 cents <nil>
}

// A command that another service refuses is refused here, with its reason.
func ExampleClient_Dispatch() {
	server := httptest.NewServer(newService(httpapi.Options{}, nil))
	defer server.Close()
	client := &httpapi.Client{URL: server.URL}
	_, err := client.Dispatch(context.Background(), "account.withdraw", Withdraw{"ada", 500}, "rent-may")
	remote, _ := errors.AsType[*httpapi.RemoteError](err)
	fmt.Println(remote.Status, remote.Problem.Detail, remote.Retryable, errors.Is(err, eventstore.ErrOutcomeUnknown))
	// Output: 422 insufficient funds false false
}
