package testservers

import (
	"context"
	"errors"
	"fmt"
)

// SentinelMaster is the name under which [Redis.Sentinel] knows the master.
const SentinelMaster = "main"

// Sentinel starts a Redis Sentinel that watches this master, and returns when it knows the
// number of replicas. It promotes one of them half a second after the master has gone, and
// makes whatever comes up at the master's address later a replica: stop it before others need
// the port.
func (r *Redis) Sentinel(ctx context.Context, replicas int, options RedisOptions) (*Redis, error) {
	options.Settings = map[string]string{
		"sentinel monitor " + SentinelMaster:                 fmt.Sprintf("127.0.0.1 %d 1", r.port),
		"sentinel down-after-milliseconds " + SentinelMaster: "500",
		"sentinel failover-timeout " + SentinelMaster:        "5000",
	}
	sentinel, err := startRedis(ctx, options, "--sentinel")
	if err != nil {
		return nil, err
	}
	knows := func(ctx context.Context) error {
		return sentinel.expect(ctx, "INFO sentinel", fmt.Sprintf("slaves=%d,", replicas))
	}
	if err := sentinel.ready(ctx, knows); err != nil {
		return nil, fmt.Errorf("start a sentinel: %w", errors.Join(err, sentinel.Stop(context.WithoutCancel(ctx))))
	}
	return sentinel, nil
}
