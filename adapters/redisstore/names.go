package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanPage is about how many keys the server looks at for one page: it takes it well below a millisecond, and
// all others wait so long.
const scanPage = 1000

// Names implements [projection.Lister]. It looks through all keys of the database, a page at a time, on each master of
// a Cluster: so it is for tools, and takes as long as the server has keys of whatever program. There is no list of
// names beside the keys themselves that a failover could part from them. While slots of a Cluster move from one
// master to another a name that moves may be missed.
//
// The user needs the command SCAN for it, and for nothing else.
func (s *Sink) Names(ctx context.Context) (names []string, err error) {
	scan := func(ctx context.Context, master redis.Cmdable) ([]string, error) { return s.scan(ctx, master) }
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		names, err = onEachMaster(ctx, cluster, scan)
	} else {
		names, err = scan(ctx, s.client)
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: look for the names of read models: %w", err)
	}
	slices.Sort(names)
	return slices.Compact(names), nil // a scan may return a key twice
}

// scan returns the names of one server.
func (s *Sink) scan(ctx context.Context, server redis.Cmdable) (names []string, err error) {
	before, behind := s.prefix+":{", "}:generations"
	keys := server.Scan(ctx, 0, quotedPattern(before)+"*"+quotedPattern(behind), scanPage).Iterator()
	for keys.Next(ctx) {
		name := strings.TrimSuffix(strings.TrimPrefix(keys.Val(), before), behind)
		names = append(names, name)
	}
	return names, keys.Err()
}

// quotedPattern has the text stand for itself in a pattern of Redis.
func quotedPattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// onEachMaster asks each master of a cluster, and returns all answers.
func onEachMaster[T any](ctx context.Context, cluster *redis.ClusterClient, ask func(ctx context.Context, master redis.Cmdable) ([]T, error)) (all []T, err error) {
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		found, err := ask(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, found...)
		return err
	})
	return all, err
}
