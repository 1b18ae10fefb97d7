package lambdaapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

// queueEvent has messages, each by its id and group.
func queueEvent(queue string, messages ...[2]string) (event events.SQSEvent) {
	for _, m := range messages {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: m[0], EventSourceARN: "arn:aws:sqs:eu-west-1:123456789012:" + queue, Attributes: map[string]string{"MessageGroupId": m[1]},
		})
	}
	return event
}

func TestMessagesThatFailComeAgainAndHoldUpTheirGroupAlone(t *testing.T) {
	messages := [][2]string{{"1", "ada"}, {"2", "bob"}, {"3", "ada"}, {"4", "bob"}, {"5", ""}}
	for queue, want := range map[string]struct {
		handled []string
		answer  string
	}{
		"orders.fifo": {[]string{"1", "2", "4", "5"}, `{"batchItemFailures":[{"itemIdentifier":"1"},{"itemIdentifier":"3"}]}`},
		"orders":      {[]string{"1", "2", "3", "4", "5"}, `{"batchItemFailures":[{"itemIdentifier":"1"}]}`},
	} {
		for _, fails := range []func() error{func() error { return errors.New("down") }, func() error { panic("down") }} {
			var handled []string
			answer, err := lambdaapi.SQS(func(_ context.Context, m events.SQSMessage) error {
				handled = append(handled, m.MessageId)
				if m.MessageId == "1" {
					return fails()
				}
				return nil
			}, lambdaapi.SQSOptions{Logger: quiet})(t.Context(), queueEvent(queue, messages...))
			require.NoError(t, err)
			assert.Equal(t, want.handled, handled, queue)
			assert.Equal(t, want.answer, jsonOf(answer), queue)
		}
	}
}

func TestMessagesThatWereNotReachedComeAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	answer, err := lambdaapi.SQS(func(context.Context, events.SQSMessage) error {
		cancel()
		return nil
	}, lambdaapi.SQSOptions{})(ctx, queueEvent("orders", [2]string{"1"}, [2]string{"2"}))
	require.NoError(t, err)
	assert.JSONEq(t, `{"batchItemFailures":[{"itemIdentifier":"2"}]}`, jsonOf(answer))
}

func TestAnEventThatFailsFailsTheFunction(t *testing.T) {
	errDown := errors.New("down")
	for name, c := range map[string]struct {
		handler func() error
		text    string
	}{
		"well":   {func() error { return nil }, ""},
		"error":  {func() error { return errDown }, "down"},
		"panics": {func() error { panic("oh") }, "panic: oh"},
	} {
		var got string
		_, err := lambdaapi.EventBridge(func(_ context.Context, event json.RawMessage) error {
			got = string(event)
			return c.handler()
		})(t.Context(), json.RawMessage(`{"detail":{}}`))
		assert.JSONEq(t, `{"detail":{}}`, got, name)
		if c.text == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.text)
		}
	}
}

// Start takes each function of this package; else this would not compile.
var _ = map[string]func(){
	"HTTP": func() { lambdaapi.Start(lambdaapi.HTTP(nil, lambdaapi.HTTPOptions{}), lambdaapi.StartOptions{}) },
	"Kinesis": func() {
		lambdaapi.Start(lambdaapi.Kinesis(nil, nil, lambdaapi.KinesisOptions{}), lambdaapi.StartOptions{})
	},
	"SQS":         func() { lambdaapi.Start(lambdaapi.SQS(nil, lambdaapi.SQSOptions{}), lambdaapi.StartOptions{}) },
	"EventBridge": func() { lambdaapi.Start(lambdaapi.EventBridge(nil), lambdaapi.StartOptions{}) },
}
