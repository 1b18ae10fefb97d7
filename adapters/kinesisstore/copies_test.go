package kinesisstore_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

// copied is a log in which every record comes twice: its copy stands right behind so many of those that follow.
func copied(log []kinesisstore.Record, distance int) (all []kinesisstore.Record) {
	for n := range len(log) + distance {
		if n < len(log) {
			all = append(all, log[n])
		}
		if n >= distance {
			all = append(all, log[n-distance])
		}
	}
	return all
}

// takeCopies takes logs of the records with their copies into an index, one for each distance, in batches in which
// copies are met in the same transaction and in a later one, and compares it with what was put once.
func takeCopies(t *testing.T, index *kinesisstore.Index, count int, distances ...int) error {
	want := []string{}
	for _, distance := range distances {
		var log []kinesisstore.Record
		for n := range count {
			stream := eventstore.NewStreamID("order", fmt.Sprintf("%d-%d", distance, n%4))
			name := strconv.Itoa(n)
			log = append(log, record(stream, eventstore.Version(n/4), name))
			want = append(want, fmt.Sprintf("%s@%d %s", stream, n/4+1, name))
		}
		all := records(t, copied(log, distance)...)
		from, shard := "", fmt.Sprint("shard-", distance)
		for len(all) > 0 {
			next := all[:min(len(all), 17)]
			if err := index.Take(t.Context(), batch(shard, from, next)); err != nil {
				return err
			}
			from, all = *next[len(next)-1].SequenceNumber, all[len(next):]
		}
	}
	if there := contents(t, index); fmt.Sprint(want) != fmt.Sprint(there) {
		return errors.New("copies have changed the index")
	}
	return nil
}

// Each of 60 records is delivered twice, at every distance: its copy is the next one at first, and at last
// it comes behind all others. In SQLite, and at full size in Postgres too.
func TestTortureCopiesOfEveryRecordAtEveryPlaceChangeNothingInTheIndex(t *testing.T) {
	t.Parallel()
	const count = 60
	var distances []int
	for distance := range count {
		distances = append(distances, distance)
	}
	for _, in := range databases[:min(eventstoretest.Scale, len(databases))] {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, takeCopies(t, byHand(t, in.open(t)), count, distances...))
		})
	}
}

// The twin takes copies for new records, and the store under the index notices.
func TestAnIndexThatTakesCopiesIsCaught(t *testing.T) {
	t.Parallel()
	for _, distance := range []int{0, 5, 19} {
		index := byHand(t, onSQLite.open(t))
		require.NoError(t, takeCopies(t, index, 20, distance))
		mutant := byHand(t, onSQLite.open(t))
		kinesisstore.JudgeBy(mutant, func(r kinesisstore.Record, at kinesisstore.State) (kinesisstore.Verdict, error) {
			if is, err := kinesisstore.Judge(r, at); err != nil || is != kinesisstore.Late {
				return is, err
			}
			return kinesisstore.Accepted, nil
		})
		require.ErrorIs(t, takeCopies(t, mutant, 20, distance), kinesisstore.ErrForeignWrite, distance)
	}
}
