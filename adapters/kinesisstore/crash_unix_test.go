//go:build unix

package kinesisstore_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
)

// The places in which an indexer dies.
const (
	betweenBatches = "between two batches of a shard"
	inTransaction  = "behind a statement of its transaction"
	anywhere       = "when it is killed"
	betweenHalves  = "between the checkpoint and its records, which the mutant stores by themselves"
)

// life is what a child is told: to run the indexer of a stream on an emulator, and where it dies.
type life struct {
	Endpoint, Stream   string
	SQLite, PostgresAt string // where the index is
	Dies               string
	After              int // so many times not
}

const lifeOf = "LEFTFOLD_INDEXER"

func TestMain(m *testing.M) {
	if told := os.Getenv(lifeOf); told != "" {
		fmt.Fprintln(os.Stderr, live(context.Background(), told))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// live runs an indexer until the child dies.
func live(ctx context.Context, told string) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone, whatever ended it
		os.Exit(1)
	}()
	var l life
	if err := json.Unmarshal([]byte(told), &l); err != nil {
		return err
	}
	client := &mortal{Client: kinesis.New(kinesis.Options{BaseEndpoint: &l.Endpoint, Region: emulators.Region, Credentials: emulators.Credentials}), life: l, pages: map[string]bool{}}
	database, err := l.database(ctx)
	if err != nil {
		return err
	}
	stream, err := kinesisstore.Describe(ctx, client, l.Stream)
	if err != nil {
		return err
	}
	index, err := kinesisstore.OpenIndex(ctx, database, stream)
	if err != nil {
		return err
	}
	if l.Dies == betweenHalves {
		w := &consumer.Worker{API: client, Stream: l.Stream, Target: inHalves{index}, Leases: consumer.NewMemory()}
		return w.Run(ctx)
	}
	if l.Dies == inTransaction {
		left := l.After
		kinesisstore.DieInTransaction(index, func() bool {
			if left--; left < 0 {
				die()
			}
			return false
		})
	}
	return kinesisstore.Indexer{API: client, Index: index, OnError: func(err error) { fmt.Fprintln(os.Stderr, err) }}.Run(ctx)
}

func (l life) database(ctx context.Context) (kinesisstore.Database, error) {
	if l.SQLite != "" {
		store, err := sqlite.Open(ctx, l.SQLite, sqlite.Options{})
		if err != nil {
			return kinesisstore.Database{}, err
		}
		db, err := sql.Open("sqlite", l.SQLite)
		return kinesisstore.SQLite(store, db), err
	}
	pool, err := pgxpool.New(ctx, l.PostgresAt)
	if err != nil {
		return kinesisstore.Database{}, err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	return kinesisstore.Postgres(store, stdlib.OpenDBFromPool(pool), ""), err
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// mortal reads small batches, tells of each, and may die when the one behind a batch is asked for: that batch
// has been taken in then.
type mortal struct {
	*kinesis.Client

	life  life
	mu    sync.Mutex
	pages map[string]bool // iterators that follow records
}

func (m *mortal) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	m.mu.Lock()
	if m.life.Dies == betweenBatches && m.pages[*in.ShardIterator] {
		if m.life.After--; m.life.After < 0 {
			die()
		}
	}
	m.mu.Unlock()
	few := int32(5)
	in.Limit = &few
	out, err := m.Client.GetRecords(ctx, in, o...)
	if err != nil || len(out.Records) == 0 {
		return out, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if out.NextShardIterator != nil {
		m.pages[*out.NextShardIterator] = true
	}
	fmt.Println("a page")
	return out, nil
}

// inHalves is the planted bug: the checkpoint is moved in a transaction of its own, before the records.
type inHalves struct{ *kinesisstore.Index }

func (h inHalves) Take(ctx context.Context, batch consumer.Batch) error {
	moves := batch
	moves.Records = nil
	if err := h.Index.Take(ctx, moves); err != nil || len(batch.Records) == 0 {
		return err
	}
	die()
	return nil
}

// crashing is a stream, what is put on it, and an index whose indexers die.
type crashing struct {
	t    *testing.T
	c    *kinesis.Client
	life life
	in   func() kinesisstore.Database
	next eventstore.Version // of every stream
	put  []kinesisstore.Record
	want []string
}

func newCrashing(t *testing.T, in string) *crashing {
	c := awstest.Kinesis(t, nil)
	x := &crashing{t: t, c: c, life: life{Stream: newStream(t, c, 2)}}
	emulator, err := emulators.Kinesis()
	require.NoError(t, err)
	x.life.Endpoint = emulator.URL()
	if in == onSQLite.name {
		x.life.SQLite = filepath.Join(t.TempDir(), "index.db")
		x.in = func() kinesisstore.Database { return openSQLite(t, x.life.SQLite) }
	} else {
		pool := postgrestest.Pool(t)
		x.life.PostgresAt = pool.Config().ConnString()
		x.in = func() kinesisstore.Database { return openPostgres(t, pool) }
	}
	return x
}

const crashStreams = 10

// produce puts four appends to each stream, and around them what counts for nothing: copies of records and
// others that come too late. Records of one call are of different streams, so their order is certain.
func (x *crashing) produce() {
	for range 4 {
		var batch []kinesisstore.Record
		for n := range crashStreams {
			stream := eventstore.NewStreamID("order", fmt.Sprint(n))
			name := fmt.Sprintf("%s/%d", stream, x.next+1)
			batch = append(batch, record(stream, x.next, name))
			x.want = append(x.want, fmt.Sprintf("%s@%d %s", stream, x.next+1, name))
		}
		x.next++
		x.putAll(batch)
		x.put = append(x.put, batch...)
		copied, late := x.put[rand.IntN(len(x.put))], x.put[rand.IntN(len(x.put))]
		x.putAll([]kinesisstore.Record{copied, record(late.Stream, late.Expect, "late")})
	}
}

func (x *crashing) putAll(all []kinesisstore.Record) {
	in := &kinesis.PutRecordsInput{StreamName: &x.life.Stream}
	for _, r := range all {
		data, err := r.Encode()
		require.NoError(x.t, err)
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: (*string)(&r.Stream), Data: data})
	}
	out, err := x.c.PutRecords(x.t.Context(), in)
	require.NoError(x.t, err)
	require.Zero(x.t, *out.FailedRecordCount)
}

// dies runs a child until it dies.
func (x *crashing) dies(where string, after int) {
	x.t.Helper()
	l := x.life
	l.Dies, l.After = where, after
	told, err := json.Marshal(l)
	require.NoError(x.t, err)
	ctx, cancel := context.WithTimeout(x.t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env, child.Stderr = append(os.Environ(), lifeOf+"="+string(told)), os.Stderr
	_, err = child.StdinPipe() // ends with us
	require.NoError(x.t, err)
	out, err := child.StdoutPipe()
	require.NoError(x.t, err)
	require.NoError(x.t, child.Start())
	pages := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if pages++; where == anywhere && pages == after+1 {
			time.Sleep(rand.N(10 * time.Millisecond)) // so that it is anywhere in what follows
			require.NoError(x.t, child.Process.Kill())
		}
	}
	err = child.Wait()
	require.NoError(x.t, ctx.Err(), "%s, after %d: it has not died", where, after)
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(x.t, ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL, "it has ended by itself: %v", err)
}

// isWhole takes the rest in, and compares the index with what was put.
func (x *crashing) isWhole() error {
	index := openIndex(x.t, x.c, x.life.Stream, x.in())
	if err := (reader{client: x.c, stream: x.life.Stream, target: index}).drain(x.t.Context()); err != nil {
		return err
	}
	there := sorted(contents(x.t, index))
	if want := sorted(slices.Clone(x.want)); !slices.Equal(want, there) {
		return fmt.Errorf("the index has %d events, and %d were appended: %q", len(there), len(want), there)
	}
	return nil
}

// An indexer is killed at random and in named places, again and again. Each time the next one goes on.
func TestTortureAnIndexerThatIsKilledLosesNothingAndTakesNothingTwice(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			x := newCrashing(t, in.name)
			for range 2 * eventstoretest.Scale {
				for _, where := range []string{betweenBatches, inTransaction, anywhere} {
					x.produce()
					x.dies(where, rand.IntN(3))
				}
			}
			require.NoError(t, x.isWhole())
		})
	}
}

// The twin: a checkpoint that moves by itself loses the records behind it when the indexer dies.
func TestTortureOfKilledIndexersCatchesACheckpointThatMovesByItself(t *testing.T) {
	t.Parallel()
	x := newCrashing(t, onSQLite.name)
	x.produce()
	x.dies(betweenHalves, 0)
	require.ErrorIs(t, x.isWhole(), kinesisstore.ErrGap)
}
