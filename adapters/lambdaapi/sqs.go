package lambdaapi

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// SQSOptions are those of [SQS]. The zero value works.
type SQSOptions struct {
	// Logger gets why messages failed, with the stack of a panic. Default: slog.Default().
	Logger *slog.Logger
}

// SQS returns the Lambda function of an event source mapping of a queue, which gives the messages to the handler
// one by one. What the handler returns nil for is deleted from the queue. What it returns an error for, or
// panics at, comes again, or goes to the queue's dead letters, and so does all that was not reached
// before the invocation's end. Behind a message that failed, the others of its group in a FIFO queue
// are not handled, so that their order is kept. The mapping needs FunctionResponseTypes:
// [ReportBatchItemFailures], without which a failure would be deleted like the others.
//
// Messages come at least once; in a queue that is no FIFO, in any order.
func SQS(handler func(ctx context.Context, message events.SQSMessage) error, options SQSOptions) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	log := loggerOr(options.Logger)
	return func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
		ctx, done := early(ctx)
		defer done()
		response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
		held := map[string]bool{} // groups behind a failure
		for _, message := range event.Records {
			group, ordered := groupOf(message)
			if err := ctx.Err(); err == nil && !held[group] {
				err = unpanicked(func() error { return handler(ctx, message) })
				if err == nil {
					continue
				}
				log.ErrorContext(ctx, "a message failed; it will come again", "message", message.MessageId, "group", group, "queue", message.EventSourceARN, "error", err)
			}
			if ordered {
				held[group] = true
			}
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
		}
		return response, nil
	}
}

// groupOf returns the group of a message of a FIFO queue. The groups of a queue that is none are for
// fairness and say nothing about order.
func groupOf(message events.SQSMessage) (group string, ordered bool) {
	return message.Attributes["MessageGroupId"], strings.HasSuffix(message.EventSourceARN, ".fifo")
}

// unpanicked makes an error of a panic.
func unpanicked(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return do()
}
