// Package awstest gives tests the emulators of AWS: a client of Kinesis, DynamoDB or SQS that is
// ready to use, with nothing of anybody else's behind it if the test picks names of its own.
//
//	func TestOrders(t *testing.T) {
//		client := awstest.Kinesis(t, nil)
//		…
//	}
//
// A machine without the emulators skips these tests and says which command installs them,
// unless LEFTFOLD_TEST is "all": then they fail. See packages emulators, kinesisfake and fault
// for what stands behind.
package awstest

import (
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/awstest/npm"
	"github.com/leftfold/leftfold/internal/testservers"
)

// Kinesis returns a client of the emulator of Kinesis, over a transport such as a
// fault.Transport; nil goes straight to it.
func Kinesis(t testing.TB, over http.RoundTripper) *kinesis.Client {
	t.Helper()
	return running(t, emulators.Kinesis).KinesisClient(over)
}

// DynamoDB returns a client of the emulator of DynamoDB.
func DynamoDB(t testing.TB, over http.RoundTripper) *dynamodb.Client {
	t.Helper()
	return running(t, emulators.DynamoDB).DynamoDBClient(over)
}

// SQS returns a client of the emulator of SQS.
func SQS(t testing.TB, over http.RoundTripper) *sqs.Client {
	t.Helper()
	return running(t, emulators.SQS).SQSClient(over)
}

// NodeModules returns the folder that has node_modules, and the path of Node.js, which runs
// what is in it.
func NodeModules(t testing.TB) (folder, node string) {
	t.Helper()
	folder, err := npm.Folder()
	missing(t, err)
	node, err = npm.Node(t.Context())
	missing(t, err)
	return folder, node
}

func running(t testing.TB, get func() (*emulators.Emulator, error)) *emulators.Emulator {
	t.Helper()
	emulator, err := get()
	missing(t, err)
	t.Cleanup(func() {
		emulators.Transport.CloseIdleConnections() // their goroutines would be leaks in a test's eyes
		if t.Failed() {
			t.Logf("the emulator at %s says:\n%s", emulator.URL(), emulator.Log())
		}
	})
	return emulator
}

// CreateStream makes a stream of Kinesis and returns when it can be used.
func CreateStream(t testing.TB, client *kinesis.Client, name string, shards int32) {
	t.Helper()
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		t.Fatal(err)
	}
	WaitForStream(t, client, name)
}

// WaitForStream returns when the stream is there and no change of its shards is under way.
func WaitForStream(t testing.TB, client *kinesis.Client, name string) {
	t.Helper()
	// The waiter's own pauses are 10 s and more.
	often := func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 100*time.Millisecond
	}
	err := kinesis.NewStreamExistsWaiter(client).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &name}, time.Minute, often)
	if err != nil {
		t.Fatal(err)
	}
}

// missing ends the test if something is not there.
func missing(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case (errors.Is(err, npm.ErrUnavailable) || errors.Is(err, testservers.ErrUnavailable)) && os.Getenv("LEFTFOLD_TEST") != "all":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
