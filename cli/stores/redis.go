package stores

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/leftfold/leftfold/cli"
)

// Quiet keeps the drivers from writing lines of their own to standard error: what they have to say is in the errors.
// It is for the beginning of a program.
func Quiet() { logging.Disable() }

// IsRedis reports whether a URL is that of a Redis.
func IsRedis(at string) bool {
	return strings.HasPrefix(at, "redis://") || strings.HasPrefix(at, "rediss://")
}

// Redis connects to the Redis at a URL. With ?master_name=NAME the host is that of a Sentinel; one node of a Cluster
// stands for all of it. prefix is that of ?prefix=NAME, "" for none. No error has the password in it.
func Redis(ctx context.Context, at string) (client redis.UniversalClient, prefix string, err error) {
	malformed := cli.Usagef("the URL of Redis cannot be parsed: want redis://USER:PASSWORD@HOST:PORT/DATABASE?prefix=NAME")
	parsed, err := url.Parse(at)
	if err != nil {
		return nil, "", malformed
	}
	parameters := parsed.Query()
	prefix = parameters.Get("prefix")
	parameters.Del("prefix") // it is ours, not the driver's
	parsed.RawQuery = parameters.Encode()
	if parameters.Has("master_name") {
		options, err := redis.ParseFailoverURL(parsed.String())
		if err != nil {
			return nil, "", malformed
		}
		return redis.NewFailoverClient(options), prefix, nil
	}
	options, err := redis.ParseURL(parsed.String())
	if err != nil {
		return nil, "", malformed
	}
	one := redis.NewClient(options)
	info, err := one.Info(ctx, "cluster").Result()
	if err != nil {
		_ = one.Close() // it was only asked
		return nil, "", fmt.Errorf("ask Redis at %s what it is: see whether it runs, and the address and the password are right: %w", options.Addr, err)
	}
	if !strings.Contains(info, "cluster_enabled:1") {
		return one, prefix, nil
	}
	_ = one.Close() // it was only asked
	of, err := redis.ParseClusterURL(parsed.String())
	if err != nil {
		return nil, "", malformed
	}
	return redis.NewClusterClient(of), prefix, nil
}
