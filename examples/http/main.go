// HTTP: a small shop whose commands and queries are an HTTP API, on orders.db in the current
// directory. It serves until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/projection"
)

func main() {
	address := flag.String("listen", "localhost:8080", "`address` to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address); err != nil {
		log.Fatal(err) //nolint:gocritic // stop has nothing left to do
	}
}

func run(ctx context.Context, address string) error {
	store, err := sqlite.Open(ctx, "orders.db", sqlite.Options{})
	if err != nil {
		return err
	}
	worker := projection.Worker{Log: store, Events: Orders.Events(), Tasks: []projection.Task{projection.Into(store.Sink(), Summaries)}}
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the last request has been answered
	worked := make(chan error, 1)
	go func() { worked <- worker.Run(working) }()

	err = serve(ctx, address, store)
	stop()
	return errors.Join(err, <-worked, store.Close(context.WithoutCancel(ctx)))
}

func serve(ctx context.Context, address string, store *sqlite.Store) error {
	// In a real shop: httpapi.Options{Authenticate: …, Authorize: …}.
	options := httpapi.Options{BodyBytes: 64 << 10}
	commands, queries := commandsOf(store), queriesOf(store.Sink())
	document, err := httpapi.OpenAPI(httpapi.Description{
		Title: "Orders", Commands: commands, Queries: queries, CommandOptions: options, QueryOptions: options,
	})
	if err != nil {
		return err
	}
	api := http.NewServeMux()
	api.Handle("/commands/", httpapi.Commands(commands, options))
	api.Handle("/queries/", httpapi.Queries(queries, options))
	api.Handle("/openapi.json", httpapi.Document(document))

	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	return httpapi.Serve(ctx, listener, api, httpapi.ServerOptions{
		Checks: map[string]httpapi.Check{"orders": func(ctx context.Context) error {
			status, err := projection.StatusOf(ctx, store, store.Sink(), Summaries.Generation())
			if err == nil && status.Frozen() {
				err = errors.New("no worker keeps the orders up to date")
			}
			return err
		}},
	})
}
