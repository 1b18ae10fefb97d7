package redisstore_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// fleet is a master with two replicas, and a log whose tallies are on them.
type fleet struct {
	*projection.Replicas
	*log

	sink    *redisstore.Sink
	master  *testservers.Redis
	servers []*testservers.Redis // the replicas
	clients []*redis.Client      // of the replicas
	queries *query.Bus
}

type getTally struct{ Key string }

// quick finds out soon what has changed, and gives everybody who is alive the time to answer.
var quick = projection.ReplicasOptions{Every: 10 * time.Millisecond, Timeout: 5 * time.Second, Logger: silent}

// patient returns a client that waits as long as it is told to, and not for a server that is gone.
func patient(t testing.TB, server *testservers.Redis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, DialerRetries: 1})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// sails returns a fleet whose replicas have what happened so far.
func sails(t *testing.T, o projection.ReplicasOptions) *fleet {
	t.Helper()
	f := &fleet{log: newLog(t), master: start(t, testservers.RedisOptions{})}
	f.sink = open(t, patient(t, f.master))
	f.happen(t, 50)
	f.moves(t)
	for range 2 {
		replica, err := f.master.Replica(t.Context(), testservers.RedisOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, replica.Stop(context.Background())) })
		f.servers, f.clients = append(f.servers, replica), append(f.clients, patient(t, replica))
	}
	f.opens(t, o)
	return f
}

func (f *fleet) opens(t *testing.T, o projection.ReplicasOptions) {
	t.Helper()
	var err error
	f.Replicas, err = redisstore.OpenReplicas(t.Context(), f.sink, f.clients, o)
	require.NoError(t, err)
	t.Cleanup(f.Close)
	f.queries = queriesOver(f.Replicas)
}

func queriesOver(from projection.Readable) *query.Bus {
	queries, reader := query.NewBus(), projection.NewReader(from, tallies)
	query.Handle(queries, "get_tally", func(ctx context.Context, q getTally) (tally, error) {
		return reader.Get(ctx, q.Key)
	}, query.Reads("tallies"))
	return queries
}

// moves lets one thing happen to the tally a, and has the sink apply it.
func (f *fleet) moves(t *testing.T) {
	t.Helper()
	for more := true; more; more = f.keys[len(f.keys)-1] != "a" {
		f.happen(t, 1)
	}
	require.NoError(t, f.runner(f.sink).CatchUp(t.Context()))
}

// arrives waits until all replicas have what the master has written.
func (f *fleet) arrives(t *testing.T) {
	t.Helper()
	require.EqualValues(t, len(f.servers), connectTo(t, f.master).Do(t.Context(), "WAIT", len(f.servers), 30_000).Val())
}

// asks for the tally a after all that has happened, some times, and requires that it includes that.
func (f *fleet) asks(t *testing.T, times int) {
	t.Helper()
	for range times {
		row, err := query.Ask[tally](t.Context(), f.queries, getTally{"a"}, query.After(f.token(t)), query.Wait(30*time.Second))
		require.NoError(t, err)
		require.EqualValues(t, f.head(), row.Last, "a is the last that has moved")
	}
}

func (l *log) token(t *testing.T) eventstore.Token {
	t.Helper()
	head, err := l.store.Head(t.Context())
	require.NoError(t, err)
	return head
}

// becomes waits until a replica is put aside for the reason; empty: until it is in order.
func (f *fleet) becomes(t *testing.T, replica int, reason string) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := f.Status().Replicas[replica].Err
		if reason == "" || err == nil {
			return reason == "" && err == nil
		}
		return strings.Contains(err.Error(), reason)
	}, 30*time.Second, time.Millisecond, "it is not: %s", reason)
}

// isRead lets things happen until a replica answers who asks for them.
func (f *fleet) isRead(t *testing.T, replica int) {
	t.Helper()
	for before := f.looked()[1+replica]; f.looked()[1+replica] == before; {
		f.moves(t)
		f.arrives(t)
		f.asks(t, 1)
	}
}

// looked returns how many looks each server was asked for: the primary, and the replicas.
func (f *fleet) looked() [3]int64 {
	status := f.Status()
	return [3]int64{status.Primary.Looks, status.Replicas[0].Looks, status.Replicas[1].Looks}
}

func follow(t *testing.T, replica *redis.Client, host, port string) {
	t.Helper()
	require.NoError(t, replica.Do(t.Context(), "REPLICAOF", host, port).Err())
}

func (f *fleet) followsAgain(t *testing.T, replica int) {
	t.Helper()
	host, port, err := net.SplitHostPort(f.master.Addr())
	require.NoError(t, err)
	follow(t, f.clients[replica], host, port)
}

func TestReplicasAnswerInThePlaceOfTheSink(t *testing.T) {
	f := sails(t, projection.ReplicasOptions{Every: time.Hour, Timeout: 30 * time.Second, Logger: silent}) // in turn
	s := stands(t, f.sink)
	require.NoError(t, s.commit(t.Context(), put(row("a", 1, "x"), row("b", 2, "y"))...))
	parked := projection.Parked{Key: "c", Event: s.next().Anchor, Type: "counted", Cause: "it was", At: time.UnixMicro(1).UTC()}
	move := projection.Move{From: s.at, To: s.next(), Park: []projection.Parked{parked}}
	move.To.Parks++
	require.NoError(t, s.Commit(t.Context(), numbers, move, nil))
	f.arrives(t)
	for _, rows := range []projection.RowQuery{
		{}, {Keys: []string{"none", "b", "a"}}, {List: &projection.ListQuery{By: "name", Descending: true, Limit: 2}}, {List: &projection.ListQuery{Limit: 1}},
	} {
		want, err := f.sink.Look(t.Context(), numbers, rows)
		require.NoError(t, err)
		require.Equal(t, []projection.Parked{parked}, want.Followed[0].Parked)
		for range f.servers {
			got, err := f.Look(t.Context(), numbers, rows)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	f.asks(t, 8)
	looked := f.looked()
	require.Zero(t, looked[0], "the sink")
	require.Positive(t, looked[1])
	require.Positive(t, looked[2])
}

func TestAReplicaThatIsCutOffIsNotReadForWhatItLacks(t *testing.T) {
	f := sails(t, quick)
	f.asks(t, 2)
	for _, replica := range f.clients {
		follow(t, replica, "127.0.0.1", "1") // nobody; it keeps what it has
	}
	for range 5 {
		f.moves(t)
		f.asks(t, 4)
	}
	for n := range f.servers {
		f.becomes(t, n, "")
		require.Eventually(t, func() bool { return f.Status().Replicas[n].Lag > 50*time.Millisecond }, 30*time.Second, time.Millisecond, "it grows older")
	}
	require.GreaterOrEqual(t, f.looked()[0], int64(5*4), "the sink alone had it")
	_, err := query.Ask[tally](t.Context(), f.queries, getTally{"a"})
	require.NoError(t, err)
	require.EqualValues(t, 5*4, f.looked()[0], "a question that requires nothing is answered by a replica")

	for n := range f.servers {
		f.followsAgain(t, n)
	}
	f.arrives(t)
	for n := range f.servers {
		require.Eventually(t, func() bool { return f.Status().Replicas[n].Lag >= 0 }, 30*time.Second, time.Millisecond)
	}
	f.asks(t, 8)
	require.LessOrEqual(t, f.looked()[0], int64(5*4+2), "until it is known that they have it")
}

func TestAReplicaThatIsPromotedOrFollowsAnotherMasterIsPutAside(t *testing.T) {
	f := sails(t, quick)
	require.NoError(t, f.clients[0].Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	f.becomes(t, 0, "it is no replica any more")
	other := start(t, testservers.RedisOptions{})
	host, port, err := net.SplitHostPort(other.Addr())
	require.NoError(t, err)
	follow(t, f.clients[1], host, port)
	f.becomes(t, 1, "it is no copy of the primary")
	f.moves(t)
	f.asks(t, 3)
	_, err = query.Ask[tally](t.Context(), f.queries, getTally{"a"})
	require.NoError(t, err)
	for n := range f.servers {
		f.followsAgain(t, n)
		f.becomes(t, n, "")
	}
	f.asks(t, 3)
}

func TestReplicasOfAMasterThatIsEmptiedComeBackWithWhatIsBuiltAnew(t *testing.T) {
	f := sails(t, quick)
	require.NoError(t, f.master.Kill(t.Context()))
	require.NoError(t, f.master.Start(t.Context()))
	require.Eventually(t, func() bool {
		_, err := query.Ask[tally](t.Context(), f.queries, getTally{"a"})
		require.True(t, err == nil || strings.Contains(err.Error(), projection.ErrNotBuilt.Error()), "%v", err)
		return err != nil
	}, 30*time.Second, time.Millisecond, "the replicas are emptied too")
	f.moves(t)
	f.asks(t, 3)
	for n := range f.servers {
		f.becomes(t, n, "")
	}
	f.arrives(t)
	before := f.looked()[0]
	f.asks(t, 8)
	require.LessOrEqual(t, f.looked()[0], before+2)
}

func TestReadersOfReplicasGoOnWithoutTheMaster(t *testing.T) {
	f := sails(t, quick)
	f.arrives(t)
	require.NoError(t, f.master.Kill(t.Context()))
	for n := range f.servers {
		require.Eventually(t, func() bool { return f.Status().Replicas[n].Lag > 20*time.Millisecond }, 30*time.Second, time.Millisecond, "nobody knows what it lacks")
	}
	for range 4 {
		row, err := query.Ask[tally](t.Context(), f.queries, getTally{"a"}, query.After(f.token(t)))
		require.NoError(t, err)
		require.NotZero(t, row.Events)
	}
	for n := range f.servers {
		require.NoError(t, f.Status().Replicas[n].Err)
	}
}

func TestAReplicaThatIsDownAtTheStartIsNoErrorAndComesBack(t *testing.T) {
	f := sails(t, quick)
	f.Close()
	require.NoError(t, f.servers[0].Kill(t.Context()))
	f.opens(t, quick)
	require.Error(t, f.Status().Replicas[0].Err)
	f.asks(t, 3)
	require.NoError(t, f.servers[0].Start(t.Context()))
	f.becomes(t, 0, "")
	f.isRead(t, 0)
}

// turns sends each command, or transaction, to another server than the one before: a name that leads
// to several.
type turns struct {
	before
	servers []*redis.Client
	taken   *atomic.Int64
}

func (o turns) next() *redis.Client { return o.servers[int(o.taken.Add(1))%len(o.servers)] }

func (o turns) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return o.next().Process(ctx, cmd) }
}

func (o turns) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_, err := o.next().TxPipelined(ctx, func(tx redis.Pipeliner) error {
			for _, cmd := range cmds[1 : len(cmds)-1] { // without MULTI and EXEC
				_ = tx.Process(ctx, cmd)
			}
			return nil
		})
		return err
	}
}

// inTwo looks in two calls: at the checkpoint, and at the rows.
type inTwo struct{ *redisstore.Sink }

func (s inTwo) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	look, err := s.Sink.Look(ctx, model, projection.RowQuery{})
	if err == nil {
		look.Rows, err = s.Load(ctx, model, rows.Keys)
	}
	return look, err
}

// One of two servers lacks the last event. Whoever asks after it gets it, because rows and
// checkpoint are of one of them. A look in two calls takes the checkpoint of one and the rows of
// the other.
func TestALookIsOfOneServerWhateverTheClientIsConnectedTo(t *testing.T) {
	f := sails(t, quick)
	f.arrives(t)
	follow(t, f.clients[0], "127.0.0.1", "1")
	f.moves(t)
	for _, each := range []*redis.Client{connectTo(t, f.master), f.clients[0]} { // they know the script now
		_, err := openAs(t, each, f.sink.Prefix()).Look(t.Context(), projection.Model{Generation: tallies.Generation()}, projection.RowQuery{})
		require.NoError(t, err)
	}
	client, taken := connectTo(t, f.master), new(atomic.Int64)
	client.AddHook(turns{servers: []*redis.Client{connectTo(t, f.master), f.clients[0]}, taken: taken})
	sink := openAs(t, client, f.sink.Prefix())
	asked := func(from projection.Readable, first int64) (last int64) {
		taken.Store(first - 1)
		row, err := query.Ask[tally](t.Context(), queriesOver(from), getTally{"a"}, query.After(f.token(t)), query.Wait(30*time.Second))
		require.NoError(t, err)
		return row.Last
	}
	require.EqualValues(t, f.head(), asked(sink, 0), "the master is asked first")
	require.EqualValues(t, f.head(), asked(sink, 1), "the replica is asked first")
	require.Less(t, asked(inTwo{sink}, 0), int64(f.head()), "the planted bug")
}

func TestReplicasOfAClusterAreRefusedAndTheErrorSaysWhatToDo(t *testing.T) {
	cluster, err := sharedCluster()
	orSkip(t, err)
	_, err = redisstore.OpenReplicas(t.Context(), open(t, connectCluster(t, cluster, redis.ClusterOptions{})), nil, quick)
	require.ErrorIs(t, err, redisstore.ErrUnsuitable)
	require.ErrorContains(t, err, "add masters, or keep this sink on a server of its own")

	replicas, err := redisstore.OpenReplicas(t.Context(), open(t, patient(t, cluster.Masters[0])), []*redis.Client{patient(t, cluster.Replicas[0])}, quick)
	require.NoError(t, err)
	defer replicas.Close()
	require.ErrorIs(t, replicas.Status().Replicas[0].Err, redisstore.ErrUnsuitable)
}

func TestAClientThatCannotReadWhatTheSinkWritesIsRefused(t *testing.T) {
	sink := open(t, redis.NewClient(&redis.Options{Addr: connect(t).Options().Addr, ContextTimeoutEnabled: true}))
	for options, want := range map[*redis.Options]string{
		{Addr: "replica:1", DB: 1, ContextTimeoutEnabled: true}: "set DB",
		{Addr: "replica:1"}: "set ContextTimeoutEnabled",
	} {
		client := redis.NewClient(options)
		_, err := redisstore.OpenReplicas(t.Context(), sink, []*redis.Client{client}, quick)
		require.ErrorIs(t, err, redisstore.ErrUnsuitable)
		require.ErrorContains(t, err, "client of replica:1")
		require.ErrorContains(t, err, want)
		require.NoError(t, client.Close())
	}
}
