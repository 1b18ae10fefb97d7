package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/projection"
)

// OpenReplicas returns what readers read from in the place of the sink: the replicas of its server, and
// the server itself where they do not do. See [projection.Replicas], which its Close ends; the
// clients stay the caller's. A replica that is down, or is none at the moment, is no error: it is
// put aside until it is in order.
//
// Each client is connected to one replica and reads the sink's database. All clients, the sink's as
// well, have ContextTimeoutEnabled: else one that hangs would hold up a question for the client's
// ReadTimeout, whatever the question's deadline is.
//
// A Cluster's replicas are not read: [ErrUnsuitable].
func OpenReplicas(ctx context.Context, primary *Sink, replicas []*redis.Client, o projection.ReplicasOptions) (*projection.Replicas, error) {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	main, ok := primary.client.(*redis.Client)
	if !ok {
		return nil, fmt.Errorf("redisstore: %w: replicas of a %T are not read: a Cluster's masters share the read models and their readers, so add masters, or keep this sink on a server of its own, with replicas", ErrUnsuitable, primary.client)
	}
	for _, client := range append([]*redis.Client{main}, replicas...) {
		if err := readsAs(main, client); err != nil {
			return nil, fmt.Errorf("redisstore: the client of %s: %w: %w", client.Options().Addr, ErrUnsuitable, err)
		}
	}
	from := &origin{client: main, patience: o.Timeout / 2}
	all := make([]projection.Replica, len(replicas))
	for n, client := range replicas {
		all[n] = projection.Replica{
			Name:  client.Options().Addr,
			Sink:  &Sink{client: client, prefix: primary.prefix},
			Probe: func(ctx context.Context) (time.Duration, error) { return from.probe(ctx, client) },
		}
	}
	return projection.NewReplicas(ctx, primary, all, o), nil
}

// readsAs returns why a client cannot read what another one has written.
func readsAs(main, client *redis.Client) error {
	switch here, there := client.Options(), main.Options(); {
	case here.DB != there.DB:
		return fmt.Errorf("it reads database %d, and the sink's is %d: set DB in its options", here.DB, there.DB)
	case !here.ContextTimeoutEnabled:
		return fmt.Errorf("it waits for %v whatever the deadline is: set ContextTimeoutEnabled in its options", here.ReadTimeout)
	}
	return nil
}
