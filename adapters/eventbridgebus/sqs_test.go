package eventbridgebus_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
	"github.com/leftfold/leftfold/relay"
)

// emulated is a queue of the emulator, with its dead letters.
type emulated struct {
	client    *sqs.Client
	url, dead string
}

func newEmulated(t testing.TB, receives int) emulated {
	q := emulated{client: awstest.SQS(t, nil)}
	name := "things-" + rand.Text()
	q.dead = q.create(t, name+"-dead", nil)
	redrive, err := json.Marshal(map[string]any{"deadLetterTargetArn": q.arn(t, q.dead), "maxReceiveCount": receives})
	require.NoError(t, err)
	q.url = q.create(t, name, map[string]string{string(types.QueueAttributeNameRedrivePolicy): string(redrive)})
	return q
}

func (q emulated) create(t testing.TB, name string, attributes map[string]string) string {
	out, err := q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	require.NoError(t, err)
	return *out.QueueUrl
}

func (q emulated) arn(t testing.TB, url string) string {
	out, err := q.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	require.NoError(t, err)
	return out.Attributes[string(types.QueueAttributeNameQueueArn)]
}

func (q emulated) send(t testing.TB, bodies ...string) {
	for _, body := range bodies {
		_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body})
		require.NoError(t, err)
	}
}

func (q emulated) consumer(handle eventbridgebus.Handler) eventbridgebus.Consumer {
	return eventbridgebus.Consumer{Client: q.client, Queue: q.url, Handle: handle, Visibility: time.Second, Wait: time.Second, Quiet: time.Millisecond}
}

// The queue is one that we have not made ourselves: real visibility, receipts, counts and redrive.
func TestAnEmulatorOfSQSLosesNothingToAConsumerThatFailsAndOneThatIsCutOff(t *testing.T) {
	t.Parallel()
	q := newEmulated(t, 4)
	p := newPublisher(t, 4, 5)
	bus, _, _ := newBus(t, ebfake.Options{})
	p.publish(t, bus)
	all := bus.Taken()
	for n := range all { // the last ones first, and each twice
		body := fmt.Sprintf(`{"detail":%s}`, all[len(all)-1-n])
		q.send(t, body, body)
	}
	q.send(t, "no JSON")

	r := inMemory()
	inbox := eventbridgebus.Inbox{Store: r.store, Source: p.id(t)}
	ctx, stop := context.WithCancel(t.Context())
	require.NoError(t, q.consumer(func(ctx context.Context, _ json.RawMessage) error {
		stop() // it is told to stop while it has ten
		<-ctx.Done()
		return ctx.Err()
	}).Run(ctx))

	var mu sync.Mutex
	failed := map[string]bool{}
	handle := func(ctx context.Context, event json.RawMessage) error {
		mu.Lock()
		first := !failed[string(event)]
		failed[string(event)] = true
		mu.Unlock()
		if first {
			return errors.New("the database is away")
		}
		return inbox.Handle(ctx, event)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := q.consumer(handle).Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	require.NoError(t, r.project(t.Context(), inbox, 1))
	require.NoError(t, r.check(t.Context(), 1, p.want))
	dead, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.dead, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	require.NoError(t, err)
	require.Len(t, dead.Messages, 1, "the poison, and nothing else")
	require.Equal(t, "no JSON", *dead.Messages[0].Body)
}

// What takes longer than the visibility is kept from others for as long as it takes.
func TestAnEmulatorOfSQSGivesNobodyWhatIsBeingHandled(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(eventbridgebus.SQSAPI) eventbridgebus.SQSAPI{
		"":                                    func(api eventbridgebus.SQSAPI) eventbridgebus.SQSAPI { return api },
		"the planted bug: it is not extended": func(api eventbridgebus.SQSAPI) eventbridgebus.SQSAPI { return neverExtends{api} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newEmulated(t, 9)
			q.send(t, "{}")
			began, end := make(chan struct{}), make(chan struct{})
			first := sync.OnceFunc(func() { close(began) })
			c := q.consumer(func(context.Context, json.RawMessage) error {
				first()
				<-end
				return nil
			})
			c.Client, c.Visibility = of(c.Client), 2*time.Second
			var handling sync.WaitGroup
			handling.Go(func() {
				if err := c.Drain(t.Context()); err != nil {
					t.Error(err)
				}
			})
			<-began
			out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, WaitTimeSeconds: 3}) // longer than the visibility
			require.NoError(t, err)
			for _, m := range out.Messages { // the twin's: nobody else has a use for it
				_, err := q.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle})
				require.NoError(t, err)
			}
			close(end)
			handling.Wait()
			require.Equal(t, name != "", len(out.Messages) > 0)
		})
	}
}

// neverExtends has the planted bug that a message is left to others while it is being handled.
type neverExtends struct{ eventbridgebus.SQSAPI }

func (neverExtends) ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

// A rule may feed a FIFO queue. It knows repeats for five minutes only, and gives several of a group at a time:
// the inbox orders them all the same.
func TestAnEmulatorOfSQSIsAFIFOQueueToo(t *testing.T) {
	t.Parallel()
	client := awstest.SQS(t, nil)
	q := emulated{client: client}
	q.url = q.create(t, "things-"+rand.Text()+".fifo", map[string]string{string(types.QueueAttributeNameFifoQueue): "true"})
	p := newPublisher(t, 3, 6)
	bus, _, _ := newBus(t, ebfake.Options{})
	p.publish(t, bus)
	for _, detail := range bus.Taken() {
		m, err := relay.ParseCloudEvent(detail)
		require.NoError(t, err)
		body := fmt.Sprintf(`{"detail":%s}`, detail)
		for range 2 { // the second is a repeat, which the queue knows
			_, err = client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body, MessageGroupId: &m.Key, MessageDeduplicationId: &m.ID})
			require.NoError(t, err)
		}
	}
	r := inMemory()
	var handled atomic.Int64
	inbox := eventbridgebus.Inbox{Store: r.store, Source: p.id(t)}
	require.NoError(t, q.consumer(func(ctx context.Context, event json.RawMessage) error {
		handled.Add(1)
		return inbox.Handle(ctx, event)
	}).Drain(t.Context()))
	require.Equal(t, p.count, handled.Load())
	require.NoError(t, r.project(t.Context(), inbox, 1))
	require.NoError(t, r.check(t.Context(), 1, p.want))
}
