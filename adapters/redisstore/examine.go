package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/checkup"
)

// Examine tells whether a server, or each master of a Cluster, is fit to keep read models. It asks by INFO, CLUSTER
// INFO and TIME alone, and changes nothing. On a Cluster the name of a check begins with the address of the master.
func Examine(ctx context.Context, client redis.UniversalClient) []checkup.Finding {
	switch client := client.(type) {
	case *redis.Ring:
		return []checkup.Finding{checkup.Fail("client", "use a ClusterClient or a FailoverClient", "redis.Ring looks for a key on another server while one is down")}
	case *redis.ClusterClient:
		all, err := onEachMaster(ctx, client, func(ctx context.Context, master redis.Cmdable) ([]checkup.Finding, error) {
			found := examineServer(ctx, master)
			if one, ok := master.(*redis.Client); ok {
				for n := range found {
					found[n].Check = one.Options().Addr + " " + found[n].Check
				}
			}
			return found, nil
		})
		if err != nil {
			return append(all, unreachable(err))
		}
		return append(all, examineCluster(ctx, client))
	}
	return examineServer(ctx, client)
}

func unreachable(err error) checkup.Finding {
	return checkup.Fail("connection", "see whether Redis runs, and whether address, user and password are right", "%v", err)
}

func examineServer(ctx context.Context, server redis.Cmdable) []checkup.Finding {
	began := time.Now()
	text, err := server.Info(ctx).Result()
	if err != nil {
		return []checkup.Finding{unreachable(err)}
	}
	all := []checkup.Finding{checkup.Fine("connection", "it took %s", time.Since(began).Round(100*time.Microsecond))}
	all = append(all, parseInfo(text).examine()...)
	return append(all, checkup.Clock(ctx, func(ctx context.Context) (time.Time, error) { return server.Time(ctx).Result() }))
}

func examineCluster(ctx context.Context, client *redis.ClusterClient) checkup.Finding {
	return checkup.Ask("cluster", func() (checkup.Finding, error) {
		text, err := client.ClusterInfo(ctx).Result()
		if err != nil {
			return checkup.Finding{}, err
		}
		info := parseInfo(text)
		if info["cluster_state"] != "ok" {
			return checkup.Fail("", "bring its masters back, and see that all slots have one", "its state is %q, and %s of 16384 slots are served", info["cluster_state"], info["cluster_slots_ok"]), nil
		}
		return checkup.Fine("", "all slots are served, by %s masters", info["cluster_size"]), nil
	})
}

// examine judges what INFO says.
func (info serverInfo) examine() []checkup.Finding {
	return []checkup.Finding{info.version(), info.eviction(), info.memory(), info.persistence(), info.role(), info.writes()}
}

func (info serverInfo) version() checkup.Finding {
	const check = "version"
	switch version := info["redis_version"]; {
	case version == "":
		return checkup.Unsure(check, "see that it is Redis "+oldest+" or newer, or compatible with it", "it does not tell")
	case info.tooOld():
		return checkup.Fail(check, "update it to "+oldest+" or newer", "it is Redis %s", version)
	default:
		return checkup.Fine(check, "it is Redis %s", version)
	}
}

func (info serverInfo) eviction() checkup.Finding {
	const check = "eviction"
	policy := info["maxmemory_policy"]
	switch {
	case policy == "":
		return checkup.Unsure(check, "see that maxmemory-policy is noeviction", "it does not tell its maxmemory-policy")
	case info.evicts():
		return checkup.Fail(check, setNoEviction, "at maxmemory (%s bytes) its maxmemory-policy %s may remove rows and leave others", info["maxmemory"], policy)
	case policy != "noeviction":
		return checkup.Warn(check, setNoEviction+", before somebody sets maxmemory", "maxmemory-policy is %s, and maxmemory is not set", policy)
	}
	return checkup.Fine(check, "nothing is evicted")
}

func (info serverInfo) memory() checkup.Finding {
	const check = "memory"
	used, err1 := strconv.ParseInt(info["used_memory"], 10, 64)
	most, err2 := strconv.ParseInt(info["maxmemory"], 10, 64)
	switch {
	case err1 != nil || err2 != nil:
		return checkup.Unsure(check, "look at used_memory and maxmemory yourself", "it does not tell how much it uses")
	case most > 0 && used > most/10*9:
		return checkup.Warn(check, "raise maxmemory: at the limit projections stop", "%d of %d MB are used", used>>20, most>>20)
	case most > 0:
		return checkup.Fine(check, "%d of %d MB are used", used>>20, most>>20)
	}
	return checkup.Fine(check, "%d MB are used, without a limit", used>>20)
}

func (info serverInfo) persistence() checkup.Finding {
	const check = "persistence"
	for _, last := range []string{"aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"} {
		if said := info[last]; said != "" && said != "ok" {
			return checkup.Fail(check, "look into its log; a full disk is the usual cause", "%s is %s: what it has does not get to its disk", last, said)
		}
	}
	switch info["aof_enabled"] {
	case "1":
		return checkup.Fine(check, "it has an append-only file")
	case "0":
		return checkup.Warn(check, "set appendonly yes, unless read models may be built again", "it has no append-only file: when it ends, read models go back to its last snapshot, or are gone")
	}
	return checkup.Unsure(check, "see that appendonly is yes", "it does not tell whether it has an append-only file")
}

func (info serverInfo) role() checkup.Finding {
	const check = "role"
	switch info["role"] {
	case "master":
		return checkup.Fine(check, "it is the master; %s replicas follow it", orNone(info["connected_slaves"]))
	case "slave":
		return checkup.Fail(check, "connect to its master at "+fmt.Sprintf("%s:%s", info["master_host"], info["master_port"]), "it is a replica, which takes no writes")
	}
	return checkup.Unsure(check, "see that it is a master", "it does not tell what it is")
}

// writes tells whether it wants replicas to write to, and has them.
func (info serverInfo) writes() checkup.Finding {
	const check = "replicas in step"
	switch good := info["min_slaves_good_slaves"]; good {
	case "":
		return checkup.Fine(check, "none is required")
	case "0":
		return checkup.Fail(check, "bring its replicas back, or change min-replicas-to-write", "it takes no writes without a replica in step, and has none")
	default:
		return checkup.Fine(check, "%s are in step", good)
	}
}

func orNone(count string) string {
	if strings.Trim(count, "0") == "" {
		return "no"
	}
	return count
}
