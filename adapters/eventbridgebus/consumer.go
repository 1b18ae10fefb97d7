package eventbridgebus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// SQSAPI is what a [Consumer] calls; *sqs.Client has it.
type SQSAPI interface {
	ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, options ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, options ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// Consumer takes events from an SQS queue that is the target of a rule, ten at a time, and gives each to the
// handler, those ten at the same time. An event is deleted from the queue when the handler has returned nil; what
// fails is left there, and comes again when its visibility ends. How often, and where it goes then, is the queue's
// redrive policy. While all that comes fails, it pauses, for up to 10 s. Several processes, and several calls of Run, may share a queue.
type Consumer struct {
	// Client calls AWS. Required.
	Client SQSAPI
	// Queue is the URL of the queue. Required.
	Queue string
	// Handle takes in an event. Required.
	Handle Handler
	// Visibility is for how long nobody else gets an event that is being handled; it is extended while that
	// goes on. It is whole seconds, 1 s to 12 h. Default: 30 s.
	Visibility time.Duration
	// Wait is how long a request waits for events. It is whole seconds, 1 s to 20 s. Default: 20 s.
	Wait time.Duration
	// Quiet is for how long Drain must find the queue empty to believe it: its counts are approximate, and
	// are right a minute after the last event came. Default: 1 minute.
	Quiet time.Duration
	// OnError is called with what fails; the consumer goes on. Default: nobody is told.
	OnError func(error)
}

// Bounds of SQS.
const (
	maxReceived       = 10
	defaultVisibility = 30 * time.Second
	defaultWait       = 20 * time.Second
	defaultQuiet      = time.Minute
	maxPause          = 10 * time.Second
	minPause          = 100 * time.Millisecond
	farewell          = 2 * time.Second // how long a delete may take when the consumer is to stop
)

// Run takes events until ctx ends; then it returns nil. What was being handled then comes again, unless
// it was deleted.
func (c Consumer) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	for pause := minPause; ctx.Err() == nil; {
		if _, err := c.once(ctx); err == nil {
			pause = minPause
			continue
		}
		sleep(ctx, pause)
		pause = min(2*pause, maxPause)
	}
	return nil
}

// Drain takes events until the queue has been empty for Quiet: nothing in it, nothing being handled,
// here or elsewhere. It returns the error of ctx if that ends first.
func (c Consumer) Drain(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	c.Wait = time.Second
	var empty time.Time // since when
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		received, err := c.once(ctx)
		left := -1
		if err == nil && received == 0 {
			left, err = c.left(ctx)
		}
		switch {
		case err != nil, left != 0:
			empty = time.Time{}
		case empty.IsZero():
			empty = time.Now()
		case time.Since(empty) >= cmp.Or(c.Quiet, defaultQuiet):
			return nil
		}
		if err != nil {
			sleep(ctx, minPause)
		}
	}
}

func (c Consumer) check() error {
	if c.Client == nil || c.Queue == "" || c.Handle == nil {
		return errors.New("eventbridgebus.Consumer: Client, Queue and Handle are required")
	}
	if v := cmp.Or(c.Visibility, defaultVisibility); v < time.Second || v > 12*time.Hour || v%time.Second != 0 {
		return fmt.Errorf("eventbridgebus.Consumer: Visibility is %s, want whole seconds from 1 s to 12 h", v)
	}
	if w := cmp.Or(c.Wait, defaultWait); w < time.Second || w > 20*time.Second || w%time.Second != 0 {
		return fmt.Errorf("eventbridgebus.Consumer: Wait is %s, want whole seconds from 1 s to 20 s", w)
	}
	return nil
}

// once receives some events, and handles and deletes them.
func (c Consumer) once(ctx context.Context) (received int, err error) {
	out, err := c.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &c.Queue, MaxNumberOfMessages: maxReceived, WaitTimeSeconds: seconds(cmp.Or(c.Wait, defaultWait)), VisibilityTimeout: c.visibility(),
	})
	if err != nil {
		return 0, c.failed(ctx, "receive from", err)
	}
	if len(out.Messages) == 0 {
		return 0, nil
	}
	done := c.handle(ctx, out.Messages)
	if len(done) == 0 {
		return len(out.Messages), errNothingHandled
	}
	return len(out.Messages), c.remove(ctx, done)
}

// errNothingHandled makes the consumer pause. Each look counts towards the queue's redrive policy: if it went on
// while a database is away, all that waits would be in the dead letter queue soon.
var errNothingHandled = errors.New("no event of those received could be handled")

// handle handles messages at the same time, and returns those whose effect is durable.
func (c Consumer) handle(ctx context.Context, messages []types.Message) (done []types.Message) {
	ctx, stop := context.WithCancel(ctx)
	var extending sync.WaitGroup
	extending.Go(func() { c.extend(ctx, messages) })
	results := make([]error, len(messages))
	var all sync.WaitGroup
	for n, m := range messages {
		all.Go(func() { results[n] = c.one(ctx, m) })
	}
	all.Wait()
	stop()
	extending.Wait()
	for n, err := range results {
		if err == nil {
			done = append(done, messages[n])
		}
	}
	return done
}

// one handles a message. A panic is a failure of this message.
func (c Consumer) one(ctx context.Context, m types.Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("handler panicked: %v", r)
		}
		if err != nil {
			err = c.failed(ctx, "handle an event of", err)
		}
	}()
	if m.Body == nil {
		return errors.New("the message has no body")
	}
	return c.Handle(ctx, json.RawMessage(*m.Body))
}

// extend keeps the messages away from others until ctx ends. If it cannot, somebody else handles them too, which
// does no harm.
func (c Consumer) extend(ctx context.Context, messages []types.Message) {
	ticks := time.NewTicker(time.Duration(c.visibility()) * time.Second / 3)
	defer ticks.Stop()
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(messages))
	for n, m := range messages {
		entries[n] = types.ChangeMessageVisibilityBatchRequestEntry{Id: number(n), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: c.visibility()}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &c.Queue, Entries: entries}
			if _, err := c.Client.ChangeMessageVisibilityBatch(ctx, in); err != nil {
				_ = c.failed(ctx, "extend the visibility in", err)
			}
		}
	}
}

// remove deletes messages, also when the consumer is to stop. One that stays comes again, as a repeat.
func (c Consumer) remove(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.AfterFunc(farewell, cancel)
	defer timer.Stop()
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for n, m := range messages {
		entries[n] = types.DeleteMessageBatchRequestEntry{Id: number(n), ReceiptHandle: m.ReceiptHandle}
	}
	out, err := c.Client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &c.Queue, Entries: entries})
	switch {
	case err != nil:
		return c.failed(ctx, "delete from", err)
	case len(out.Failed) > 0:
		return c.failed(ctx, "delete from", fmt.Errorf("%d of %d messages: %s", len(out.Failed), len(messages), text(out.Failed[0].Message)))
	}
	return nil
}

// left returns how many messages the queue has, visible or not.
func (c Consumer) left(ctx context.Context) (count int, err error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	out, err := c.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &c.Queue, AttributeNames: names})
	if err != nil {
		return 0, c.failed(ctx, "count what is in", err)
	}
	for _, name := range names {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, c.failed(ctx, "count what is in", fmt.Errorf("%s: %w", name, err))
		}
		count += n
	}
	return count, nil
}

// failed tells of an error, unless ctx has ended: then it is how the consumer is told to stop.
func (c Consumer) failed(ctx context.Context, what string, err error) error {
	err = fmt.Errorf("%s queue %s: %w", what, c.Queue, err)
	if c.OnError != nil && ctx.Err() == nil {
		c.OnError(err)
	}
	return err
}

func (c Consumer) visibility() int32 { return seconds(cmp.Or(c.Visibility, defaultVisibility)) }

func seconds(d time.Duration) int32 { return int32(d / time.Second) }

func number(n int) *string { text := strconv.Itoa(n); return &text }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
