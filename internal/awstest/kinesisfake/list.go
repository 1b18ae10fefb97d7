package kinesisfake

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// page is where a list of shards goes on.
type page struct {
	Stream string
	After  string // a shard
	Filter *types.ShardFilter
	Made   time.Time // it expires 300 s later
}

// ListShards lists shards in the order of their ids, a page at a time.
func (f *Fake) ListShards(ctx context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	return call(ctx, f, "ListShards", func(now time.Time, _ fault.Kind) (*kinesis.ListShardsOutput, error) {
		from, err := f.firstPage(in, now)
		if err != nil {
			return nil, err
		}
		s, err := f.find(&from.Stream, nil)
		if err != nil {
			return nil, err
		}
		most := shardsAPage
		if in.MaxResults != nil {
			most = int(*in.MaxResults)
		}
		if most < 1 || most > 10_000 {
			return nil, malformed("MaxResults of %d, not 1 to 10000", most)
		}
		out := &kinesis.ListShardsOutput{Shards: []types.Shard{}}
		for _, sh := range s.shards {
			fits, err := matches(sh, from.Filter, now.Add(-s.retention))
			switch {
			case err != nil:
				return nil, err
			case !fits || sh.id <= from.After:
				continue
			case len(out.Shards) == most:
				from.Made = now
				out.NextToken = aws.String(from.token())
				return out, nil
			}
			out.Shards = append(out.Shards, sh.describe())
			from.After = sh.id
		}
		return out, nil
	})
}

// firstPage is the page that the token names, or that the other arguments do.
func (f *Fake) firstPage(in *kinesis.ListShardsInput, now time.Time) (page, error) {
	if in.NextToken == nil {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return page{}, err
		}
		return page{Stream: s.name, After: aws.ToString(in.ExclusiveStartShardId), Filter: in.ShardFilter}, nil
	}
	if in.StreamName != nil || in.ExclusiveStartShardId != nil || in.ShardFilter != nil {
		return page{}, invalid("NextToken and StreamName, ExclusiveStartShardId or ShardFilter cannot be provided together")
	}
	var p page
	text, err := base64.StdEncoding.DecodeString(*in.NextToken)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	switch {
	case err != nil:
		return p, invalid("invalid NextToken")
	case now.Sub(p.Made) > tokenLives:
		return p, &types.ExpiredNextTokenException{Message: aws.String("the token is more than 300 s old")}
	}
	return p, nil
}

func (p page) token() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

// matches applies a filter, whose rules are in the reference of ShardFilter.
func matches(sh *shard, filter *types.ShardFilter, horizon time.Time) (bool, error) {
	if filter == nil {
		return true, nil
	}
	openAt := func(at time.Time) bool { return !sh.opened.After(at) && (sh.isOpen() || !sh.closed.Before(at)) }
	switch filter.Type {
	case types.ShardFilterTypeFromTrimHorizon:
		return true, nil
	case types.ShardFilterTypeAtLatest:
		return sh.isOpen(), nil
	case types.ShardFilterTypeAfterShardId:
		return sh.id > aws.ToString(filter.ShardId), nil
	case types.ShardFilterTypeAtTrimHorizon:
		return sh.parent == "" || openAt(horizon), nil
	}
	if filter.Timestamp == nil {
		return false, invalid("a ShardFilter of type %s needs a Timestamp", filter.Type)
	}
	switch filter.Type {
	case types.ShardFilterTypeAtTimestamp:
		return openAt(*filter.Timestamp), nil
	case types.ShardFilterTypeFromTimestamp:
		return sh.isOpen() || !sh.closed.Before(*filter.Timestamp), nil
	default:
		return false, malformed("ShardFilter of type %q", filter.Type)
	}
}
