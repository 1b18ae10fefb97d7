//go:build unix

package eventbridgebus_test

import (
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
)

// The test about crashes runs its own binary again, as a child that takes events into a file. It is
// killed when it is about to delete what it has committed.
const (
	childPath   = "LEFTFOLD_EVENTBRIDGE_CHILD_PATH"
	childURL    = "LEFTFOLD_EVENTBRIDGE_CHILD_URL"
	childQueue  = "LEFTFOLD_EVENTBRIDGE_CHILD_QUEUE"
	childSource = "LEFTFOLD_EVENTBRIDGE_CHILD_SOURCE"
)

// consumeUntilKilled is the child.
func consumeUntilKilled(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	from, err := hex.DecodeString(os.Getenv(childSource))
	if err != nil {
		return err
	}
	inbox := eventbridgebus.Inbox{Store: store, Source: eventstore.StoreID(from)}
	client := sqs.New(sqs.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(os.Getenv(childURL)), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, nil
		}),
	})
	return eventbridgebus.Consumer{Client: client, Queue: os.Getenv(childQueue), Handle: inbox.Handle}.Run(ctx)
}

func TestAConsumerKilledBetweenCommitAndDeleteRepeatsNothing(t *testing.T) {
	t.Parallel()
	const kills = 3
	p := newPublisher(t, 4, 15)
	bus, live, _ := newBus(t, ebfake.Options{Seed: 5, Twice: 0.1, Disorder: 20})
	p.publish(t, bus)
	path := filepath.Join(t.TempDir(), "inbox.db")
	id := p.id(t)
	for range kills {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		child.Stderr = os.Stderr
		child.Env = append(os.Environ(), childPath+"="+path, childURL+"="+bus.URL(), childQueue+"="+live.URL, childSource+"="+hex.EncodeToString(id[:]))
		require.NoError(t, child.Start())
		live.OnDelete(func() bool {
			_ = child.Process.Signal(syscall.SIGKILL) // a second request finds it dead
			return false
		})
		require.Error(t, child.Wait())
		require.Equal(t, "signal: killed", child.ProcessState.String())
		live.ShowAll()
	}
	live.OnDelete(nil)

	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.Positive(t, head.Position, "no child has come to the commit")
	r, inbox := receiver{store, store.Sink()}, eventbridgebus.Inbox{Store: store, Source: id}
	require.NoError(t, consumer(bus, live, inbox.Handle).Drain(t.Context()))
	require.NoError(t, r.project(t.Context(), inbox, 1))
	require.NoError(t, r.check(t.Context(), 1, p.want))
}
