// Package service runs a service of the storefront: it keeps the read model up to date and serves
// the buses over HTTP, until its context ends and the last request has been answered.
package service

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Keep keeps a read model up to date while it serves.
func Keep(ctx context.Context, listener net.Listener, store Store, events *codec.Set, task projection.Task, commands *command.Bus, queries *query.Bus) error {
	queries.Follow(query.NewHead(store)) // for Cache-Control and Age
	worker := projection.Worker{Log: store, Events: events, Tasks: []projection.Task{task}}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	worked := make(chan error, 1)
	go func() { worked <- worker.Run(working) }()
	err := Serve(ctx, listener, commands, queries)
	stop()
	return errors.Join(err, <-worked)
}

// Serve serves the buses.
func Serve(ctx context.Context, listener net.Listener, commands *command.Bus, queries *query.Bus) error {
	api := http.NewServeMux()
	api.Handle("/commands/", httpapi.Commands(commands, httpapi.Options{}))
	api.Handle("/queries/", httpapi.Queries(queries, httpapi.Options{}))
	return httpapi.Serve(ctx, listener, api, httpapi.ServerOptions{})
}
