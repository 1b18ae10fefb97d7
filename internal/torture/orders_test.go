//go:build unix

package torture_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/straightline"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Real invoices go the whole way: commands put them on a stream of Kinesis, an indexer takes them into
// Postgres, projections make the shop's views in Redis and in Postgres, and every receipt is asked
// after, in both. What the views add up to is what a straight-line program makes of the same rows.
func TestTheShopsOrdersGoThroughKinesisIntoViewsInRedisAndPostgres(t *testing.T) {
	t.Parallel()
	store, inPostgres := openKinesis(t)
	views := map[string]*app.App{"postgres": app.New(store, inPostgres), "redis": app.New(store, openRedis(t))}
	for _, shop := range views {
		project(t, shop.Projections())
	}
	const rows = 600
	want, err := straightline.Compute(salesOf(t, rows))
	require.NoError(t, err)
	groups := groupsOf(t, salesOf(t, rows))
	lines := map[string]int64{} // of each invoice
	for _, group := range groups {
		lines[group.InvoiceNo] += int64(len(group.Rows))
	}

	var all sync.WaitGroup
	for _, group := range groups {
		all.Go(func() {
			receipt, err := placeOn(t.Context(), views["redis"], group)
			if !assert.NoError(t, err) {
				return
			}
			for sink, shop := range views {
				got, err := query.Ask[order.Summary](t.Context(), shop.Queries, app.GetOrder{InvoiceNo: group.InvoiceNo}, query.After(receipt.Token))
				assert.NoError(t, err, sink)
				assert.GreaterOrEqual(t, got.Lines+got.Rejected, int64(len(group.Rows)), "%s: invoice %s after its receipt", sink, group.InvoiceNo)
			}
		})
	}
	all.Wait()
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, rows, head.Position, "an event for each row")
	for sink, shop := range views {
		totals, err := query.Ask[app.Totals](t.Context(), shop.Queries, app.GetTotals{}, query.After(head))
		require.NoError(t, err)
		assert.Equal(t, app.Totals(want.Totals), totals, sink)
		for invoice, has := range lines {
			got, err := query.Ask[order.Summary](t.Context(), shop.Queries, app.GetOrder{InvoiceNo: invoice}, query.After(head))
			require.NoError(t, err)
			assert.Equal(t, has, got.Lines+got.Rejected, "%s: invoice %s", sink, invoice)
		}
	}
	for _, group := range groups[:10] { // the commands are known: the index has their ids
		receipt, err := placeOn(t.Context(), views["postgres"], group)
		require.NoError(t, err)
		require.True(t, receipt.Repeated)
	}
	again, err := store.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, again)
}

func placeOn(ctx context.Context, shop *app.App, group retail.Group) (eventstore.Receipt, error) {
	return shop.Commands.Dispatch(ctx, order.Place{InvoiceNo: group.InvoiceNo, Rows: group.Values()}, command.ID(group.ID))
}

// openKinesis opens a store on a stream of two shards with its indexer, and the sink that is in the
// database of the index.
func openKinesis(t *testing.T) (*kinesisstore.Store, projection.Sink) {
	t.Helper()
	pool := postgrestest.Pool(t)
	inner, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { require.NoError(t, errors.Join(db.Close(), inner.Close(context.Background()))) })

	fake := kinesisfake.New(kinesisfake.Options{})
	name, shards := "orders", int32(2)
	_, err = fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	require.NoError(t, err)
	stream, err := kinesisstore.Describe(t.Context(), fake, name)
	require.NoError(t, err)
	index, err := kinesisstore.OpenIndex(t.Context(), kinesisstore.Postgres(inner, db, ""), stream)
	require.NoError(t, err)
	project(t, kinesisstore.Indexer{API: fake, Index: index, OnError: func(err error) { t.Errorf("the indexer: %v", err) }})
	store, err := kinesisstore.Open(t.Context(), fake, index, kinesisstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store, inner.Sink()
}

func openRedis(t *testing.T) projection.Sink {
	t.Helper()
	server, err := testservers.SharedRedis()
	if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	sink, err := redisstore.Open(t.Context(), client, redisstore.Options{Prefix: eventstore.NewEventID().String(), Logger: silent})
	require.NoError(t, err)
	return sink
}

// project runs something until the test ends.
func project(t *testing.T, runner interface {
	Run(ctx context.Context) error
}) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
}

// salesOf returns the first rows of the bundled invoices that are sales. The others change several streams at
// a time, which a stream of Kinesis cannot: returns look at every order of a customer, and corrections
// of the stock stand among the lines of an order.
func salesOf(t *testing.T, rows int) io.Reader {
	t.Helper()
	bundled, err := io.ReadAll(data.Open())
	require.NoError(t, err)
	all := strings.SplitAfter(string(bundled), "\n")
	sales := bytes.NewBufferString(all[0])
	reader, err := retail.NewReader(strings.NewReader(string(bundled)))
	require.NoError(t, err)
	for row, err := range reader.Rows() {
		require.NoError(t, err)
		if kind, _ := row.Kind(); kind == retail.Sale && rows > 0 {
			sales.WriteString(all[row.Line-1])
			rows--
		}
	}
	require.Zero(t, rows)
	return sales
}

func groupsOf(t *testing.T, export io.Reader) (all []retail.Group) {
	t.Helper()
	reader, err := retail.NewReader(export)
	require.NoError(t, err)
	for group, err := range reader.Groups() {
		require.NoError(t, err)
		all = append(all, group)
	}
	return all
}
