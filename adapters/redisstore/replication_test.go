package redisstore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAServerIsReadOnlyIfItIsACopyAsItSaysItself(t *testing.T) {
	const replica = "redis_mode:standalone\r\nloading:0\r\nrole:slave\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_read_only:1\r\n"
	for info, refused := range map[string]string{
		replica:                                   "",
		replica + "master_link_status:down\r\n":   "", // it has what it had
		replica + "role:master\r\n":               `it is no replica any more: its role is "master"`,
		replica + "role:sentinel\r\n":             "no replica",
		replica + "loading:1\r\n":                 "it is being filled",
		replica + "master_sync_in_progress:1\r\n": "it is being filled",
		replica + "slave_read_only:0\r\n":         "set replica-read-only yes",
		replica + "redis_mode:cluster\r\n":        "node of a Cluster",
		"":                                        "no replica",
	} {
		err := parseInfo(info).mayBeRead()
		if refused == "" {
			require.NoError(t, err, info)
			continue
		}
		require.ErrorContains(t, err, refused, info)
	}
}

func TestAReplicaFollowsAMasterIfItHasTheBeginningOfWhatThatHas(t *testing.T) {
	none := serverInfo{"master_replid": "a", "master_replid2": "0", "second_repl_offset": "-1"}
	promoted := serverInfo{"master_replid": "b", "master_replid2": "a", "second_repl_offset": "100"}
	for _, c := range []struct {
		id, offset string
		master     serverInfo
		follows    bool
	}{
		{"a", "70", none, true},
		{"b", "70", none, false},
		{"0", "70", none, false},
		{"b", "170", promoted, true},
		{"a", "99", promoted, true},
		{"a", "100", promoted, false}, // it has what the new master never got
		{"a", "", promoted, false},
		{"c", "70", promoted, false},
	} {
		require.Equal(t, c.follows, serverInfo{"master_replid": c.id, "slave_repl_offset": c.offset}.follows(c.master), "%+v", c)
	}
}
