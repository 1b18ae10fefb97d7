package consumer

import (
	"bytes"
	"crypto/md5" //nolint:gosec // it is the checksum of the KPL's format
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// magic is how a record of the KPL begins that holds several; it ends with the MD5 of what is between.
// https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
var magic = []byte{0xF3, 0x89, 0x9A, 0xC2}

// IsAggregated reports whether a record holds several, packed by the KPL.
func IsAggregated(record types.Record) bool {
	packed, begins := bytes.CutPrefix(record.Data, magic)
	if !begins || len(packed) < md5.Size {
		return false
	}
	body, sum := packed[:len(packed)-md5.Size], packed[len(packed)-md5.Size:]
	is := md5.Sum(body) //nolint:gosec // as above
	return bytes.Equal(is[:], sum)
}

// unpack makes of the records what the target takes in.
func (w *Worker) unpack(shard string, records []types.Record) ([]types.Record, error) {
	for _, record := range records {
		if !IsAggregated(record) {
			continue
		}
		if w.Deaggregate == nil {
			return nil, fmt.Errorf("%w (shard %s, sequence number %s)", ErrAggregated, shard, aws.ToString(record.SequenceNumber))
		}
		unpacked, err := w.Deaggregate(records)
		if err != nil {
			return nil, fmt.Errorf("unpack records of shard %s: %w", shard, err)
		}
		return unpacked, nil
	}
	return records, nil
}
