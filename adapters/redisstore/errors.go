package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Errors of this package, for errors.Is.
var (
	// ErrUnsuitable: the server, or the client, cannot keep read models; the message says
	// why, and what to change.
	ErrUnsuitable = errors.New("not fit to keep read models")

	// ErrLost: keys of the read model were evicted, expired or deleted, or all of the server's
	// data is gone. It stops a projection at once. Call [Sink.Drop] for what is left, if
	// anything is, and run the projection again: it builds the read model anew.
	ErrLost = errors.New("read model was lost")
)

// explained turns an answer of a script, or of the server, into the error that callers
// look for.
func (s *Sink) explained(ctx context.Context, of projection.Generation, err error) error {
	switch {
	case err == nil:
		return nil
	case redis.HasErrorPrefix(err, "STALE "):
		return subscription.ErrStale
	case redis.HasErrorPrefix(err, "CHANGED "):
		return fmt.Errorf("%w: %s was built by another definition; raise its version", projection.ErrDefinitionChanged, of)
	case redis.HasErrorPrefix(err, "ABSENT "):
		return s.absent(ctx, of)
	case redis.HasErrorPrefix(err, "LOST "):
		return incomplete(of)
	case redis.HasErrorPrefix(err, "OUTDATED "):
		return fmt.Errorf("%w: %s@%s", projection.ErrOutdated, of.Name, strings.TrimPrefix(err.Error(), "OUTDATED "))
	case redis.HasErrorPrefix(err, "LIVE "):
		return projection.ErrLive
	case redis.HasErrorPrefix(err, "ATTENDED "):
		return projection.ErrAttended
	case redis.HasErrorPrefix(err, "READONLY "):
		return fmt.Errorf("%s: the client is connected to a replica, which takes no writes; connect it to the master: %w", of, err)
	}
	s.findMaster(ctx, err)
	return fmt.Errorf("%s: %w", of, err)
}

// findMaster has the client of a cluster look who is master now, if no server has answered.
// By itself it does so when a server sends it elsewhere, and every minute: a master that is
// gone sends nobody.
func (s *Sink) findMaster(ctx context.Context, err error) {
	var answer redis.Error
	if cluster, ok := s.client.(*redis.ClusterClient); ok && !errors.As(err, &answer) {
		cluster.ReloadState(ctx)
	}
}

// absent is the error for a generation of which no key was there. One that is there now was opened
// after the question had been answered.
func (s *Sink) absent(ctx context.Context, of projection.Generation) error {
	again := func() error { return stateScript.Run(ctx, s.client, s.keysOf(of).all()).Err() }
	if _, opened := s.opened.Load(of); opened && redis.HasErrorPrefix(again(), "ABSENT ") {
		return fmt.Errorf("%w: nothing of %s is left on the server; run its projection again to build it anew: %w", ErrLost, of, subscription.ErrPermanent)
	}
	return fmt.Errorf("%w: %s; run its projection", projection.ErrNotBuilt, of)
}

// incomplete is the error for a generation of which some keys are there.
func incomplete(of projection.Generation) error {
	return fmt.Errorf("%w: some keys of %s were evicted, expired or deleted; call Drop for the others and run its projection again to build it anew: %w",
		ErrLost, of, subscription.ErrPermanent)
}
