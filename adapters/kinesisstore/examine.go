package kinesisstore

import (
	"context"
	"errors"
	"time"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/checkup"
)

// Examine tells whether a stream is fit for a store, and whether its index follows it. What the index's database is
// fit for is told by the Examine of that. It changes nothing.
func Examine(ctx context.Context, client consumer.API, index *Index) []checkup.Finding {
	now, err := Describe(ctx, client, index.stream.Name)
	if err == nil {
		err = index.stream.same(now)
	}
	switch {
	case errors.Is(err, ErrPartitionKeys) || errors.Is(err, ErrOtherStream):
		return []checkup.Finding{checkup.Fail("stream", "see what was found", "%v", err)}
	case err != nil:
		return []checkup.Finding{checkup.Unsure("stream", "see whether the stream is there, and whether credentials, region and rights are right", "%v", err)}
	}
	return []checkup.Finding{
		checkup.Fine("stream", "it is the one that the index is of, and keeps partition keys together"),
		keeps(now.Retention),
		checkup.Ask("index", func() (checkup.Finding, error) {
			shards, err := index.Shards(ctx)
			if err != nil {
				return checkup.Finding{}, err
			}
			return follows(shards, index.now(), now.Retention), nil
		}),
	}
}

// shortRetention is less than people need to notice that an indexer stands still, and to mend it.
const shortRetention = 7 * 24 * time.Hour

func keeps(retention time.Duration) checkup.Finding {
	if retention < shortRetention {
		return checkup.Warn("retention", "raise it to a week or more: what an indexer has not taken in by then is gone", "the stream keeps records for %s", retention)
	}
	return checkup.Fine("retention", "the stream keeps records for %s", retention)
}

// stands is for how long an index may have seen nothing new of a shard: a worker notes every ten minutes that it has.
const stands = 25 * time.Minute

// follows tells how far the index is behind the shard that it is furthest behind.
func follows(shards []ShardStatus, now time.Time, retention time.Duration) checkup.Finding {
	var worst *ShardStatus
	for n, s := range shards {
		if s.Shard != consumer.Beginning && !s.Ended && (worst == nil || s.Seen.Before(worst.Seen)) {
			worst = &shards[n]
		}
	}
	if worst == nil {
		return checkup.Warn("index", "run an Indexer, if the stream is in use: appends wait for it", "it has nothing of any open shard")
	}
	switch behind := now.Sub(worst.Seen).Round(time.Second); {
	case worst.Seen.IsZero() || behind > retention/2:
		return checkup.Fail("index", "run an Indexer at once, and raise the retention of the stream meanwhile: what is not taken in in time is gone",
			"it is %s behind on shard %s, of the %s that records are kept", behind, worst.Shard, retention)
	case behind > stands:
		return checkup.Fail("index", "run an Indexer, and look into its log: appends wait for it", "it has not followed shard %s for %s", worst.Shard, behind)
	default:
		return checkup.Fine("index", "it follows all shards; it has seen the one that it knows least of %s ago", behind)
	}
}
