package testservers

import (
	"context"
	"sync"
	"time"
)

// SharedPostgres returns the Postgres of this process, which the first call starts and
// which ends with the process. Those who share it make databases of their own, and
// neither stop it nor crash it.
//
// It takes no context: what the first caller gets is for all of them.
func SharedPostgres() (*Postgres, error) { return sharedPostgres() }

var sharedPostgres = sync.OnceValues(func() (*Postgres, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return StartPostgres(ctx, PostgresOptions{})
})

// SharedRedis returns the Redis of this process, under the rules of [SharedPostgres]. Those
// who share it keep to keys of their own, and do not change its settings.
func SharedRedis() (*Redis, error) { return sharedRedis() }

var sharedRedis = sync.OnceValues(func() (*Redis, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return StartRedis(ctx, RedisOptions{})
})
