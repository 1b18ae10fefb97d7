package kinesisstore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
)

// archived is a stream that was written to and resharded, its index, and its archive.
func archived(t *testing.T, in database) (client, *kinesisstore.Index, *kinesisstore.Store, kinesisstore.Directory) {
	c, archive := unlimited(nil), kinesisstore.Directory(t.TempDir())
	name := newStream(t, c, 1)
	index := openIndex(t, c, name, in.open(t))
	i := indexer(c, index)
	i.Archive = archive
	followWith(t, i)
	store, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{})
	require.NoError(t, err)
	next := make(chan int, 2)
	for n := range 3 {
		for _, stream := range []eventstore.StreamID{"order-1", "order-2", "order-3"} {
			r := to(stream, eventstore.Any, event("placed"), event("paid"))
			r.Command.ID = eventstore.NewCommandID(string(stream), string(rune('a'+n)))
			_, err := store.Append(t.Context(), r)
			require.NoError(t, err)
		}
		if n < 2 {
			next <- n
		}
		if n == 0 {
			go func() { _ = reshard(context.WithoutCancel(t.Context()), c, name, next) }()
		}
	}
	close(next)
	return c, index, store, archive
}

func sorted(all []string) []string { slices.Sort(all); return all }

func TestARebuiltIndexHasTheSameStreamsInAnotherIncarnation(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			c, index, store, archive := archived(t, in)
			first, err := store.Append(t.Context(), to("order-4", eventstore.NoStream, event("last")))
			require.NoError(t, err)

			rebuilt := openIndex(t, c, index.Stream().Name, in.open(t))
			require.NoError(t, kinesisstore.Rebuild(t.Context(), rebuilt, archive))
			require.Equal(t, sorted(contents(t, index)), sorted(contents(t, rebuilt)))

			followWith(t, indexer(c, rebuilt))
			again, err := kinesisstore.Open(t.Context(), c, rebuilt, kinesisstore.Options{})
			require.NoError(t, err)
			head, err := again.Head(t.Context())
			require.NoError(t, err)
			require.ErrorIs(t, head.Check(first.Token), eventstore.ErrDiverged)

			repeat := to("order-1", eventstore.Any, event("placed"))
			repeat.Command.ID = eventstore.NewCommandID("order-1", "a")
			receipt, err := again.Append(t.Context(), repeat)
			require.NoError(t, err)
			require.True(t, receipt.Repeated, "command ids are rebuilt too")
			require.EqualValues(t, 2, receipt.Versions["order-1"])
			receipt, err = again.Append(t.Context(), to("order-1", eventstore.Exactly(6), event("more")))
			require.NoError(t, err)
			require.EqualValues(t, 7, receipt.Versions["order-1"])

			require.ErrorIs(t, kinesisstore.Rebuild(t.Context(), rebuilt, archive), kinesisstore.ErrNotEmpty)
		})
	}
}

func TestAnArchiveThatLacksASegmentOrHasADamagedOneIsRefused(t *testing.T) {
	t.Parallel()
	c, index, _, archive := archived(t, onSQLite)
	var files []string
	require.NoError(t, filepath.WalkDir(string(archive), func(path string, entry os.DirEntry, err error) error {
		if !entry.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	require.Greater(t, len(files), 3)
	refused := 0
	for n, file := range files {
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		damaged := []byte(strings.Replace(string(whole), "e", "f", 1))
		if n%2 == 0 {
			require.NoError(t, os.WriteFile(file, damaged, 0o600))
		} else {
			require.NoError(t, os.Remove(file))
		}
		err = kinesisstore.Rebuild(t.Context(), openIndex(t, c, index.Stream().Name, onSQLite.open(t)), archive)
		if err != nil {
			require.ErrorIs(t, err, kinesisstore.ErrArchive)
			refused++
		}
		require.NoError(t, os.WriteFile(file, whole, 0o600))
	}
	// Of a shard that nothing came out of, the last segment may be missing: the stream has it still.
	require.GreaterOrEqual(t, refused, len(files)-1)
}

// Rebuild goes on where it is led to, whatever workers that were taken over from have left behind.
func TestSegmentsThatOverlapAreReadOnce(t *testing.T) {
	t.Parallel()
	in, archive := unlimited(nil), kinesisstore.Directory(t.TempDir())
	name := newStream(t, in, 1)
	index := openIndex(t, in, name, onSQLite.open(t))
	archiver := kinesisstore.NewArchiver(in, archive, index.Stream(), index)
	begin(t, index)
	shard := "shardId-000000000000"
	log := records(t, record("order-1", 0, "a"), record("order-1", 1, "b"), record("order-1", 2, "c"), record("order-1", 3, "d"))
	require.NoError(t, archiver.Take(t.Context(), batch(shard, "", log[:2])))
	require.Error(t, archiver.Take(t.Context(), batch(shard, "", log[:1])), "a zombie")
	require.Error(t, archiver.Take(t.Context(), batch(shard, "1", log[1:3])), "another one")
	require.NoError(t, archiver.Take(t.Context(), batch(shard, "2", log[2:])))
	rebuilt := openIndex(t, in, name, onPostgres.open(t))
	require.NoError(t, kinesisstore.Rebuild(t.Context(), rebuilt, archive))
	require.Equal(t, []string{"order-1@1 a", "order-1@2 b", "order-1@3 c", "order-1@4 d"}, contents(t, rebuilt))
}

func TestAnIndexIsRefusedForAnotherStream(t *testing.T) {
	t.Parallel()
	database := onSQLite.open(t)
	stream := kinesisstore.Stream{Name: "events", ARN: "arn:events", CreatedAt: time.Unix(1, 0)}
	_, err := kinesisstore.OpenIndex(t.Context(), database, stream)
	require.NoError(t, err)
	_, err = kinesisstore.OpenIndex(t.Context(), database, stream)
	require.NoError(t, err)
	stream.CreatedAt = time.Unix(2, 0) // it was deleted and made anew
	_, err = kinesisstore.OpenIndex(t.Context(), database, stream)
	require.ErrorIs(t, err, kinesisstore.ErrOtherStream)
}
