//go:build unix

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
)

// fault is something that happens to a replica, and its end.
type fault struct {
	name       string
	begin, end func(ctx context.Context) error
}

func faultsOf(r *testservers.Replica) []fault {
	all := []fault{
		{"replay is paused", r.PauseReplay, r.ResumeReplay},
		{"the stream is cut", r.Disconnect, r.Reconnect},
		{"it hangs", func(context.Context) error { return r.Pause() }, func(context.Context) error { return r.Continue() }},
		{"it crashes", r.StopImmediate, r.Start},
	}
	if eventstoretest.Scale > 1 {
		all = append(all, fault{"it is made anew", r.StopImmediate, r.Renew})
	}
	return all
}

func (w *world) faultsOfRedis() []fault {
	host, port, _ := net.SplitHostPort(w.master.Addr())
	return []fault{
		{"it becomes a master", func(ctx context.Context) error { return w.follow(ctx, "NO", "ONE") }, func(ctx context.Context) error { return w.follow(ctx, host, port) }},
		{"it hangs", func(context.Context) error { return w.copied.Pause() }, func(context.Context) error { return w.copied.Continue() }},
		{"it is killed and comes back empty", w.copied.Kill, w.copied.Start},
	}
}

// follow tells the replica whom to follow, on a connection of its own: those of the pool may have
// died with the server.
func (w *world) follow(ctx context.Context, host, port string) error {
	client := redis.NewClient(&redis.Options{Addr: w.copied.Addr()})
	return errors.Join(client.ReplicaOf(ctx, host, port).Err(), client.Close())
}

// disturb lets all faults happen to one node in a random order, again and again until the
// time is over. Each lasts over some reads, and the next one comes when the node has answered again.
func (r *reads) disturb(ctx context.Context, node string, answered func() int64, faults []fault, random *rand.Rand, until time.Time, happened func(what string)) error {
	for first := true; first || time.Now().Before(until); first = false {
		for _, n := range random.Perm(len(faults)) {
			f := faults[n]
			if err := f.begin(ctx); err != nil {
				return fmt.Errorf("%s: %s: %w", node, f.name, err)
			}
			waited := r.await(ctx, users/2+random.IntN(users))
			if err := f.end(context.WithoutCancel(ctx)); err != nil || waited != nil {
				return fmt.Errorf("%s: %s: %w", node, f.name, errors.Join(waited, err))
			}
			happened(node + ": " + f.name)
			for want := answered() + 10 + random.Int64N(20); answered() < want; {
				if err := r.await(ctx, 1); err != nil {
					return fmt.Errorf("%s: it does not come back after %s: %w", node, f.name, err)
				}
			}
			if !first && !time.Now().Before(until) {
				return nil
			}
		}
	}
	return nil
}
