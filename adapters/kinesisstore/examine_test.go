package kinesisstore_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/checkup"
)

func TestAStreamAndItsIndexAreExamined(t *testing.T) {
	t.Parallel()
	c := unlimited(nil)
	name := newStream(t, c, 1)
	index := openIndex(t, c, name, onSQLite.open(t))
	examined := func() map[string]checkup.Finding {
		all := map[string]checkup.Finding{}
		for _, f := range kinesisstore.Examine(t.Context(), c, index) {
			all[f.Check] = f
			assert.Equal(t, f.Level == checkup.OK, f.Advice == "", "%+v: what to do is told, if anything is to be done", f)
		}
		return all
	}
	found := examined()
	assert.Equal(t, checkup.OK, found["stream"].Level)
	assert.Equal(t, checkup.Warning, found["retention"].Level, "it is a day")
	assert.Equal(t, checkup.Warning, found["index"].Level, "nobody has followed it")

	hours := int32(8 * 24)
	_, err := c.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &name, RetentionPeriodHours: &hours})
	require.NoError(t, err)
	assert.Equal(t, checkup.OK, examined()["retention"].Level)

	_, err = c.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name})
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return examined()["stream"].Level == checkup.Unknown }, time.Minute, time.Millisecond, "it is being deleted")
}

func TestAnIndexThatDoesNotFollowIsFound(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	shard := func(name string, seen time.Duration, ended bool) (s kinesisstore.ShardStatus) {
		s.Shard, s.Seen, s.Ended = name, now.Add(-seen), ended
		return s
	}
	never := shard("b", 0, false)
	never.Seen = time.Time{}
	for _, c := range []struct {
		level  checkup.Level
		shards []kinesisstore.ShardStatus
	}{
		{checkup.OK, []kinesisstore.ShardStatus{shard("a", time.Minute, false), shard("b", 11*time.Minute, false)}},
		{checkup.Failed, []kinesisstore.ShardStatus{shard("a", time.Minute, false), shard("b", 26*time.Minute, false)}},
		{checkup.OK, []kinesisstore.ShardStatus{shard("a", time.Minute, false), shard("b", 26*time.Hour, true)}},
		{checkup.Failed, []kinesisstore.ShardStatus{shard("a", 85*time.Hour, false)}},
		{checkup.Failed, []kinesisstore.ShardStatus{shard("a", time.Minute, false), never}},
		{checkup.Warning, []kinesisstore.ShardStatus{shard("a", time.Minute, true)}},
	} {
		assert.Equal(t, c.level, kinesisstore.Follows(c.shards, now, 7*24*time.Hour).Level, "%+v", c.shards)
	}
}
