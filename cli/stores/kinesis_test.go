package stores

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// TestMain leaves nothing of AWS in the environment but two keys of nobody.
func TestMain(m *testing.M) {
	awstest.Nobody()
	os.Exit(m.Run())
}

func TestAURLNamesAStreamAndWhereItsIndexIs(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]Kinesis{
		"kinesis://orders":                              {Stream: "orders"},
		"kinesis://Orders_2.eu-1/?region=eu-west-1":     {Stream: "Orders_2.eu-1", Region: "eu-west-1"},
		"kinesis://orders?index=sqlite:a/index.db":      {Stream: "orders", Index: "sqlite:a/index.db"},
		"kinesis://o?index=sqlite%3A%2Fa%20b%3F.db":     {Stream: "o", Index: "sqlite:/a b?.db"},
		"kinesis://o?endpoint=http://localhost:4567":    {Stream: "o", Endpoint: "http://localhost:4567"},
		"kinesis://o?index=postgres://h/d%3Fschema%3Ds": {Stream: "o", Index: "postgres://h/d?schema=s"},
	} {
		got, err := ParseKinesis(at)
		require.NoError(t, err, at)
		assert.Equal(t, want, got, at)
	}
}

func TestAURLOfAStreamThatIsWrongIsSaidWithoutIt(t *testing.T) {
	t.Parallel()
	const index = "index=postgres://ada:secret@h/d"
	for at, says := range map[string]string{
		"kinesis:orders?" + index:                           "want kinesis://STREAM",
		"kinesis://?" + index:                               "want kinesis://STREAM",
		"kinesis://or%20ders?" + index:                      "want kinesis://STREAM",
		"kinesis://orders/x?" + index:                       "want kinesis://STREAM",
		"kinesis://secret@orders":                           "want kinesis://STREAM",
		"kinesis://orders?index=%zz" + index:                "percent-encoded",
		"kinesis://orders?" + index + "?schema=s&sslmode=x": "unknown parameter sslmode: want index, region and endpoint",
		"kinesis://orders?" + index + "&" + index:           "index twice",
		"kinesis://orders?index=mysql://secret":             "neither sqlite:FILE nor postgres://",
		"kinesis://orders?endpoint=localhost:99":            "no http:// or https:// URL",
	} {
		_, err := Open(t.Context(), at)
		var usage *cli.UsageError
		require.ErrorAs(t, err, &usage, at)
		assert.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "secret")
	}
	_, err := Open(t.Context(), "kinesi://orders?"+index)
	assert.EqualError(t, err, `unknown store "kinesi://orders": want sqlite:FILE, postgres://… or kinesis://STREAM?index=URL (--store)`)
}

func TestAStoreOnAStreamNeedsAnIndexAndARegion(t *testing.T) {
	t.Parallel()
	var usage *cli.UsageError
	_, err := Open(t.Context(), "kinesis://orders?index=sqlite:x")
	require.ErrorAs(t, err, &usage)
	require.ErrorContains(t, err, "say which region of AWS")
	_, err = Open(t.Context(), "kinesis://orders?region=eu-west-1")
	require.ErrorAs(t, err, &usage)
	require.ErrorContains(t, err, "say where the index of stream orders is")
	client, err := Kinesis{Stream: "orders", Region: "eu-west-1", Endpoint: "http://localhost:1"}.Client(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "http://localhost:1", *client.Options().BaseEndpoint)
	keys, err := client.Options().Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "nobody", keys.AccessKeyID)
}

// Whoever looks at a store by its URL finds the index that is there, and makes none where there is none.
func TestAStoreOnAStreamIsItsIndex(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "in?dex.db")
		store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
		require.NoError(t, err)
		require.NoError(t, store.Close(context.Background()))
		findsTheIndex(t, "sqlite:"+file)
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		findsTheIndex(t, postgrestest.Pool(t).Config().ConnString())
	})
}

func findsTheIndex(t *testing.T, at string) {
	t.Helper()
	fake, name, shards := kinesisfake.New(kinesisfake.Options{Unlimited: true}), "orders", int32(2)
	_, err := fake.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	require.NoError(t, err)
	k := Kinesis{Stream: name, Index: at}
	_, err = k.open(t.Context(), fake)
	require.ErrorIs(t, err, kinesisstore.ErrNoIndex)
	_, err = k.open(t.Context(), fake)
	require.ErrorIs(t, err, kinesisstore.ErrNoIndex, "looking makes none")

	in, err := openDatabase(t.Context(), at)
	require.NoError(t, err)
	stream, err := kinesisstore.Describe(t.Context(), fake, name)
	require.NoError(t, err)
	index, err := kinesisstore.OpenIndex(t.Context(), in.Database, stream)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- kinesisstore.Indexer{API: fake, Index: index}.Run(ctx) }()

	store, err := k.open(t.Context(), fake)
	require.NoError(t, err)
	receipt, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "order.placed"}}}}})
	require.NoError(t, err)
	assert.EqualValues(t, 1, receipt.Versions["order-1"])
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, receipt.Token, head)
	require.NoError(t, store.Close(t.Context()))
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, in.close(context.Background()))
}
