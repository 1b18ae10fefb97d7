package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/internal/awstest/fault"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const stream = "orders"

// service is what the tests need of Kinesis: the fake and the SDK's client have it.
type service interface {
	consumer.API
	CreateStream(context.Context, *kinesis.CreateStreamInput, ...func(*kinesis.Options)) (*kinesis.CreateStreamOutput, error)
	PutRecord(context.Context, *kinesis.PutRecordInput, ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error)
	SplitShard(context.Context, *kinesis.SplitShardInput, ...func(*kinesis.Options)) (*kinesis.SplitShardOutput, error)
	UpdateShardCount(context.Context, *kinesis.UpdateShardCountInput, ...func(*kinesis.Options)) (*kinesis.UpdateShardCountOutput, error)
}

// newFake returns Kinesis with the stream.
func newFake(t *testing.T, shards int32, faults fault.Plan) *kinesisfake.Fake {
	fake := kinesisfake.New(kinesisfake.Options{Faults: faults})
	_, err := fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(stream), ShardCount: aws.Int32(shards)})
	require.NoError(t, err)
	return fake
}

// put puts the next value of a key.
func put(t *testing.T, k service, name, key string, value int) {
	t.Helper()
	require.NoError(t, tryPut(t.Context(), k, name, key, value))
}

func tryPut(ctx context.Context, k service, name, key string, value int) error {
	_, err := k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &name, PartitionKey: &key, Data: []byte(strconv.Itoa(value))})
	return err
}

// split splits a shard in the middle.
func split(t *testing.T, k service, shard string) {
	t.Helper()
	_, err := k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String(stream), ShardToSplit: &shard, NewStartingHashKey: aws.String(middle(t, k, shard))})
	require.NoError(t, err)
}

// ledger is a target that keeps the values of each key in memory, in the order in which they came.
type ledger struct {
	mu          sync.Mutex
	checkpoints map[string]consumer.Checkpoint
	values      map[string][]int
	shards      map[string]bool // that records have come from
	count       int
	forgetful   bool // a mutant: it does not compare
}

func newLedger() *ledger {
	return &ledger{checkpoints: map[string]consumer.Checkpoint{}, values: map[string][]int{}, shards: map[string]bool{}}
}

func (l *ledger) Checkpoint(ctx context.Context, shard string) (consumer.Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoints[shard], ctx.Err()
}

func (l *ledger) Take(ctx context.Context, batch consumer.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !l.checkpoints[batch.Shard].IsAt(batch.From) && !l.forgetful {
		return consumer.ErrLost
	}
	l.checkpoints[batch.Shard] = batch.To
	for _, record := range batch.Records {
		value, err := strconv.Atoi(string(record.Data))
		if err != nil {
			return err
		}
		l.values[*record.PartitionKey] = append(l.values[*record.PartitionKey], value)
		l.shards[batch.Shard] = true
		l.count++
	}
	return nil
}

func (l *ledger) of(key string) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.values[key])
}

func (l *ledger) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// from returns how many shards records have come from.
func (l *ledger) from() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.shards)
}

// disorder says what is wrong with the values of the keys, which should be 1, 2, 3 ….
func (l *ledger) disorder() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, values := range l.values {
		for n, value := range values {
			if value != n+1 {
				return fmt.Errorf("%s: %v", key, values)
			}
		}
	}
	return nil
}

// part is the part of a worker in the world: it can be cut off, and it may be slow. It counts what
// the worker has taken in.
type part struct {
	id     string
	dead   atomic.Bool
	pause  atomic.Pointer[chan struct{}] // while it is not closed the target does not go on
	hold   atomic.Pointer[chan struct{}] // and so with the leases
	taken  atomic.Int64
	errors errorLog
	target consumer.Target
	leases consumer.LeaseStore
}

var errDead = errors.New("the process is gone")

func (p *part) gate(ctx context.Context, pause *atomic.Pointer[chan struct{}]) error {
	if paused := pause.Load(); paused != nil {
		<-*paused // also if ctx ends: a process that is stopped does not notice
	}
	if p.dead.Load() {
		return errDead
	}
	return ctx.Err()
}

func (p *part) Checkpoint(ctx context.Context, shard string) (consumer.Checkpoint, error) {
	if err := p.gate(ctx, &p.pause); err != nil {
		return consumer.Checkpoint{}, err
	}
	return p.target.Checkpoint(ctx, shard)
}

func (p *part) Take(ctx context.Context, batch consumer.Batch) error {
	if err := p.gate(ctx, &p.pause); err != nil {
		return err
	}
	err := p.target.Take(ctx, batch)
	if err == nil {
		p.taken.Add(int64(len(batch.Records)))
	}
	return err
}

func (p *part) List(ctx context.Context) ([]consumer.Lease, error) {
	if err := p.gate(ctx, &p.hold); err != nil {
		return nil, err
	}
	return p.leases.List(ctx)
}

func (p *part) Write(ctx context.Context, lease consumer.Lease) error {
	if err := p.gate(ctx, &p.hold); err != nil {
		return err
	}
	return p.leases.Write(ctx, lease)
}

func (p *part) Remove(ctx context.Context, lease consumer.Lease) error {
	if err := p.gate(ctx, &p.hold); err != nil {
		return err
	}
	return p.leases.Remove(ctx, lease)
}

// errorLog keeps what a worker tells.
type errorLog struct {
	mu  sync.Mutex
	all []error
}

func (e *errorLog) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, err)
}

func (e *errorLog) has(target error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, func(err error) bool { return errors.Is(err, target) })
}

// crowd is workers on one target, which end with the test or before.
type crowd struct {
	api    consumer.API
	name   string
	target consumer.Target
	leases consumer.LeaseStore
	ttl    time.Duration
	poll   time.Duration
	limit  int32
	fanOut *consumer.FanOut

	ended sync.WaitGroup
	stops []context.CancelFunc
}

// join starts a worker.
func (c *crowd) join(t *testing.T, id string) *part {
	p := &part{id: id, target: c.target, leases: c.leases}
	w := &consumer.Worker{
		ID: id, API: c.api, Stream: c.name, Target: p, Leases: p,
		TTL: c.ttl, Poll: c.poll, Limit: c.limit, FanOut: c.fanOut, OnError: p.errors.add,
	}
	ctx, stop := context.WithCancel(t.Context())
	c.stops = append(c.stops, stop)
	c.ended.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("worker %s: %v", id, err)
		}
	})
	return p
}

// stop stops all workers that were not stopped yet.
func (c *crowd) stop() {
	for _, stop := range c.stops {
		stop()
	}
	c.stops = nil
	c.ended.Wait()
}

func newCrowd(api consumer.API, target consumer.Target) *crowd {
	return &crowd{api: api, name: stream, target: target, leases: consumer.NewMemory()}
}

// until waits in virtual time; its limit is virtual too.
func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		synctest.Wait()
		if done() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v not yet: %s", limit, what)
		}
	}
}

// owners returns how many shards each worker has.
func owners(t *testing.T, leases consumer.LeaseStore) map[string]int {
	t.Helper()
	all, err := leases.List(t.Context())
	require.NoError(t, err)
	has := map[string]int{}
	for _, l := range all {
		if l.Owner != "" {
			has[l.Owner]++
		}
	}
	return has
}

func shardsOf(t *testing.T, k service) map[string]types.Shard {
	t.Helper()
	out, err := k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String(stream)})
	require.NoError(t, err)
	all := map[string]types.Shard{}
	for _, shard := range out.Shards {
		all[*shard.ShardId] = shard
	}
	return all
}

func firstShard(t *testing.T, k service) string {
	t.Helper()
	return slices.Sorted(maps.Keys(shardsOf(t, k)))[0]
}
