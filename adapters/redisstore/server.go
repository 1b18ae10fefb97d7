package redisstore

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// oldest is the first version with ZRANGE … BYLEX REV.
const oldest = "6.2"

// checkServers refuses servers that would lose parts of a read model, and warns of those
// that lose all of it when they end.
func checkServers(ctx context.Context, client redis.UniversalClient, logger *slog.Logger) error {
	switch client := client.(type) {
	case *redis.Ring:
		return fmt.Errorf("%w: redis.Ring looks for a key on another server while one is down; use a ClusterClient or a FailoverClient", ErrUnsuitable)
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			return checkServer(ctx, master, "Redis at "+master.Options().Addr, logger)
		})
	case *redis.Client:
		return checkServer(ctx, client, "Redis at "+client.Options().Addr, logger)
	default:
		return checkServer(ctx, client, "Redis", logger)
	}
}

// checkServer asks by INFO alone: many managed services forbid CONFIG.
func checkServer(ctx context.Context, client redis.Cmdable, name string, logger *slog.Logger) error {
	text, err := client.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("%s: ask for its version and memory policy: %w", name, err)
	}
	info := parseInfo(text)
	if err := info.suits(); err != nil {
		return fmt.Errorf("%s is %w", name, err)
	}
	if info["maxmemory_policy"] == "" {
		logger.WarnContext(ctx, name+" does not tell its maxmemory-policy; anything but noeviction may remove read models")
	}
	if info["aof_enabled"] == "0" {
		logger.WarnContext(ctx, name+" has no append-only file: when it ends, read models go back to its last snapshot or are gone, and are built again from the log; set appendonly yes")
	}
	return nil
}

// serverInfo is the answer to INFO, by name.
type serverInfo map[string]string

func parseInfo(text string) serverInfo {
	info := serverInfo{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

func (info serverInfo) suits() error {
	if info.tooOld() {
		return fmt.Errorf("%w: its version is %s; update it to %s or later", ErrUnsuitable, info["redis_version"], oldest)
	}
	if info.evicts() {
		return fmt.Errorf("%w: at maxmemory (%s bytes) its maxmemory-policy %q may remove rows and leave others; %s",
			ErrUnsuitable, info["maxmemory"], info["maxmemory_policy"], setNoEviction)
	}
	return nil
}

const setNoEviction = "set it to noeviction, in redis.conf and by CONFIG SET, or in the parameters of your service"

func (info serverInfo) tooOld() bool { return olderThan(info["redis_version"], oldest) }

// evicts reports whether it may remove keys, as far as it tells.
func (info serverInfo) evicts() bool {
	policy := info["maxmemory_policy"]
	return info["maxmemory"] != "0" && policy != "noeviction" && policy != ""
}

// olderThan compares versions such as 7.0.15. One that is no version is not older.
func olderThan(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for n := range min(len(a), len(b)) {
		x, err := strconv.Atoi(a[n])
		y, _ := strconv.Atoi(b[n])
		if err != nil || x != y {
			return err == nil && x < y
		}
	}
	return false
}
