package kinesisfake

import (
	"crypto/md5" //nolint:gosec // G501: Kinesis decides by MD5
	"fmt"
	"math/big"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// highest is the last hash key, 2^128-1.
var highest = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

// shard is a part of the hash keys, and the records that fell into it.
type shard struct {
	id               string
	parent, adjacent string // "": none
	children         []*shard
	low, high        *big.Int // both included
	records          []record
	first            int64 // the shard's own sequence numbers begin here
	last             int64 // and end here, once it is closed
	opened, closed   time.Time
	limits           limits
}

type record struct {
	sequence int64
	arrived  time.Time
	key      string
	data     []byte
}

func (r record) size() int { return len(r.data) + len(r.key) }

func (r record) answer() types.Record {
	return types.Record{
		Data:                        append([]byte{}, r.data...),
		PartitionKey:                aws.String(r.key),
		SequenceNumber:              aws.String(number(r.sequence)),
		ApproximateArrivalTimestamp: aws.Time(r.arrived.Truncate(time.Millisecond)),
		EncryptionType:              types.EncryptionTypeNone,
	}
}

// number is a sequence number as the service writes it.
func number(n int64) string { return fmt.Sprintf("49%054d", n) }

// parseNumber is the reverse of number.
func parseNumber(s string) (int64, bool) {
	digits, found := strings.CutPrefix(s, "49")
	n, ok := new(big.Int).SetString(digits, 10)
	if !found || !ok || len(digits) != 54 || !n.IsInt64() || n.Sign() < 0 {
		return 0, false
	}
	return n.Int64(), true
}

// hashKey is where a partition key falls.
func hashKey(partitionKey string) *big.Int {
	sum := md5.Sum([]byte(partitionKey)) //nolint:gosec // G401: Kinesis decides by MD5
	return new(big.Int).SetBytes(sum[:])
}

func (s *shard) isOpen() bool { return s.closed.IsZero() }

func (s *shard) covers(key *big.Int) bool { return s.low.Cmp(key) <= 0 && key.Cmp(s.high) <= 0 }

// from returns the index of the first record at or after the sequence number.
func (s *shard) from(sequence int64) int {
	return sort.Search(len(s.records), func(i int) bool { return s.records[i].sequence >= sequence })
}

// since returns the index of the first record at or after the time.
func (s *shard) since(at time.Time) int {
	return sort.Search(len(s.records), func(i int) bool { return !s.records[i].arrived.Before(at) })
}

// trim drops the records that arrived before the horizon.
func (s *shard) trim(horizon time.Time) {
	if gone := s.since(horizon); gone > 0 {
		s.records = append([]record{}, s.records[gone:]...)
	}
}

func (s *shard) hashKeys() *types.HashKeyRange {
	return &types.HashKeyRange{StartingHashKey: aws.String(s.low.String()), EndingHashKey: aws.String(s.high.String())}
}

func (s *shard) describe() types.Shard {
	out := types.Shard{
		ShardId:             aws.String(s.id),
		HashKeyRange:        s.hashKeys(),
		SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String(number(s.first))},
	}
	if s.parent != "" {
		out.ParentShardId = aws.String(s.parent)
	}
	if s.adjacent != "" {
		out.AdjacentParentShardId = aws.String(s.adjacent)
	}
	if !s.isOpen() {
		out.SequenceNumberRange.EndingSequenceNumber = aws.String(number(s.last))
	}
	return out
}

// childShards is what a reader is told at the end.
func (s *shard) childShards() []types.ChildShard {
	var out []types.ChildShard
	for _, child := range s.children {
		parents := []string{child.parent}
		if child.adjacent != "" {
			parents = append(parents, child.adjacent)
		}
		out = append(out, types.ChildShard{ShardId: aws.String(child.id), HashKeyRange: child.hashKeys(), ParentShards: parents})
	}
	return out
}
