package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
)

// backlog is a queue that always has more.
type backlog struct {
	eventbridgebus.SQSAPI

	received int
	enough   context.CancelFunc
}

func (b *backlog) ReceiveMessage(ctx context.Context, _ *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if b.received++; b.received == 1000 {
		b.enough()
	}
	return &sqs.ReceiveMessageOutput{Messages: []types.Message{{Body: new("{}"), ReceiptHandle: new("1")}}}, ctx.Err()
}

// Each look counts towards the dead letter queue, and all of a backlog would be there within seconds.
func TestWhileNothingCanBeHandledTheQueueIsNotEmptiedIntoTheDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		queue := &backlog{enough: cancel}
		require.NoError(t, eventbridgebus.Consumer{Client: queue, Queue: "q", Handle: func(context.Context, json.RawMessage) error {
			return errors.New("the database is away")
		}}.Run(ctx))
		require.Less(t, queue.received, 20)
	})
}
