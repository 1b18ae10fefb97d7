package redisstore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/checkup"
)

func TestAServerThatMayEvictOrIsTooOldIsRefused(t *testing.T) {
	for info, refused := range map[string]string{
		"redis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n":     "",
		"redis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n":    "",
		"redis_version:8.2.1\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n":    "",
		"redis_version:6.2.0\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n":    "",
		"redis_version:10.0.0\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n":     "",
		"redis_version:unstable\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n":   "",
		"redis_version:7.0.15\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n":  `its maxmemory-policy "allkeys-lru" may remove rows`,
		"redis_version:7.0.15\r\nmaxmemory:100\r\nmaxmemory_policy:volatile-lru\r\n": `its maxmemory-policy "volatile-lru" may remove rows`,
		"redis_version:7.0.15\r\n# Memory is hidden\r\n":                             "",
		"redis_version:6.0.16\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n":     "its version is 6.0.16; update it to 6.2 or later",
		"redis_version:5.0.14\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n":     "its version is 5.0.14",
	} {
		err := parseInfo(info).suits()
		if refused == "" {
			require.NoError(t, err, info)
			continue
		}
		require.ErrorIs(t, err, ErrUnsuitable, info)
		require.ErrorContains(t, err, refused)
	}
}

func TestWhatAServerDoesNotTellIsNotCalledInOrder(t *testing.T) {
	for _, found := range parseInfo("role:?\r\n").examine() {
		if found.Check != "replicas in step" { // of which nothing is told where none is required
			require.Equal(t, checkup.Unknown, found.Level, "%+v", found)
		}
	}
	require.Equal(t, checkup.Failed, parseInfo("redis_version:6.0.16").version().Level)
	for _, status := range []string{"aof_last_write_status:err", "rdb_last_bgsave_status:err"} {
		require.Equal(t, checkup.Failed, parseInfo("aof_enabled:1\r\n"+status).persistence().Level, status)
	}
}
