package kinesisstore_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/eventstore"
)

// folded is the fold in memory: the commits of each stream, in order.
type folded struct {
	streams  map[eventstore.StreamID][]kinesisstore.CommitID
	versions map[eventstore.StreamID]eventstore.Version
	deleted  map[eventstore.StreamID]bool
	commands map[string]bool
	judge    func(kinesisstore.Record, kinesisstore.State) (kinesisstore.Verdict, error)
}

func newFolded() *folded {
	return &folded{map[eventstore.StreamID][]kinesisstore.CommitID{}, map[eventstore.StreamID]eventstore.Version{}, map[eventstore.StreamID]bool{}, map[string]bool{}, kinesisstore.Judge}
}

func (f *folded) take(r kinesisstore.Record) error {
	command := fmt.Sprint(r.Stream, r.Command.ID)
	verdict, err := f.judge(r, kinesisstore.State{
		Version: f.versions[r.Stream], Deleted: f.deleted[r.Stream], Knows: !r.Command.ID.IsZero() && f.commands[command],
	})
	if err != nil || verdict != kinesisstore.Accepted {
		return err
	}
	f.streams[r.Stream] = append(f.streams[r.Stream], r.Commit)
	f.versions[r.Stream] += eventstore.Version(max(1, len(r.Events)))
	f.deleted[r.Stream] = r.Delete
	f.commands[command] = true
	return nil
}

// logs draws what writers put that put only versions which they have seen accepted.
func logs(t *rapid.T) (log []kinesisstore.Record) {
	known := newFolded()
	for n := range rapid.IntRange(1, 30).Draw(t, "records") {
		stream := eventstore.NewStreamID("order", strconv.Itoa(rapid.IntRange(0, 2).Draw(t, "stream")))
		r := kinesisstore.Record{
			Commit: kinesisstore.CommitID{byte(n), 1}, Stream: stream,
			Expect: eventstore.Version(rapid.IntRange(0, int(known.versions[stream])).Draw(t, "expect")),
			Delete: known.versions[stream] > 0 && rapid.IntRange(0, 9).Draw(t, "delete") == 0,
		}
		if r.Delete {
			r.Expect = max(r.Expect, 1)
		} else {
			for range rapid.IntRange(1, 3).Draw(t, "events") {
				r.Events = append(r.Events, event("happened"))
			}
		}
		if command := rapid.IntRange(0, 5).Draw(t, "command"); command > 0 {
			r.Command.ID = eventstore.CommandID{byte(command)}
		}
		log = append(log, r)
		if err := known.take(r); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func TestCopiesOfARecordAtAnyPlaceBehindItChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := logs(t)
		want := fold(t, kinesisstore.Judge, log)
		with := slices.Clone(log)
		for range rapid.IntRange(1, 20).Draw(t, "copies") {
			of := rapid.IntRange(0, len(with)-1).Draw(t, "copy of")
			at := rapid.IntRange(of+1, len(with)).Draw(t, "copied to")
			with = slices.Insert(with, at, with[of])
		}
		require.Equal(t, want, fold(t, kinesisstore.Judge, with))
	})
}

// fold returns the commits of each stream.
func fold(t require.TestingT, judge func(kinesisstore.Record, kinesisstore.State) (kinesisstore.Verdict, error), log []kinesisstore.Record) map[eventstore.StreamID][]kinesisstore.CommitID {
	f := newFolded()
	f.judge = judge
	for _, r := range log {
		require.NoError(t, f.take(r))
	}
	return f.streams
}

// Each rule of the fold keeps something out that would be in without it.
func TestAFoldWithoutOneOfItsRulesIsCaught(t *testing.T) {
	t.Parallel()
	first, second := record("order-1", 0, "a"), record("order-1", 1, "b")
	first.Command.ID, second.Command.ID = eventstore.NewCommandID("a"), eventstore.NewCommandID("a")
	late, end := record("order-1", 0, "late"), kinesisstore.Record{Commit: kinesisstore.NewCommitID(), Stream: "order-1", Expect: 1, Delete: true}
	behind := record("order-1", 2, "behind")
	for verdict, log := range map[kinesisstore.Verdict][]kinesisstore.Record{
		kinesisstore.Late: {first, late}, kinesisstore.Repeated: {first, second}, kinesisstore.Deleted: {first, end, behind},
	} {
		without := func(r kinesisstore.Record, at kinesisstore.State) (kinesisstore.Verdict, error) {
			if is, err := kinesisstore.Judge(r, at); err != nil || is != verdict {
				return is, err
			}
			return kinesisstore.Accepted, nil
		}
		require.NotEqual(t, fold(t, kinesisstore.Judge, log), fold(t, without, log), verdict)
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 1, 40)
		text := rapid.Map(rapid.String(), func(s string) []byte { return []byte("x" + s) })
		r := kinesisstore.Record{
			Commit: kinesisstore.NewCommitID(), Stream: "order-1", Expect: eventstore.Version(rapid.IntRange(0, 9).Draw(t, "expect")),
			Command: eventstore.Command{ID: eventstore.NewCommandID("a"), Hash: eventstore.HashCommand("a", nil)},
			Events: []eventstore.EventData{{
				ID: eventstore.NewEventID(), Type: "happened", SchemaVersion: 3, Tags: []eventstore.Tag{"a:1", "b:2"},
				Data: rapid.OneOf(bytes, text).Draw(t, "data"), Metadata: rapid.OneOf(bytes, text).Draw(t, "metadata"),
			}},
		}
		raw, err := r.Encode()
		require.NoError(t, err)
		key, at := string(r.Stream), "1"
		back, err := kinesisstore.Decode(types.Record{Data: raw, PartitionKey: &key, SequenceNumber: &at})
		require.NoError(t, err)
		require.Equal(t, r, back)
	})
}

// records encodes a log as a shard has it, with sequence numbers from 1.
func records(t testing.TB, log ...kinesisstore.Record) (all []types.Record) {
	for n, r := range log {
		data, err := r.Encode()
		require.NoError(t, err)
		key, at := string(r.Stream), strconv.Itoa(n+1)
		all = append(all, types.Record{Data: data, PartitionKey: &key, SequenceNumber: &at})
	}
	return all
}

func record(stream eventstore.StreamID, expect eventstore.Version, name string) kinesisstore.Record {
	return kinesisstore.Record{Commit: kinesisstore.NewCommitID(), Stream: stream, Expect: expect, Events: []eventstore.EventData{event(name)}}
}

func batch(shard, from string, all []types.Record) consumer.Batch {
	b := consumer.Batch{Shard: shard, From: consumer.Checkpoint{Sequence: from}, Records: all}
	b.To.Sequence = *all[len(all)-1].SequenceNumber
	return b
}
