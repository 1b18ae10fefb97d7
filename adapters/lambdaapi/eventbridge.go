package lambdaapi

import (
	"context"
	"encoding/json"
)

// EventBridge returns the Lambda function that a rule of a bus calls. The handler gets the whole event as
// JSON, its detail and whatever stands around it. If the handler returns an error or panics, the function fails,
// and Lambda calls it again: twice within minutes by default, then the event goes to the function's
// OnFailure destination, or nowhere. Give it one.
//
// Events come at least once and in any order. The function's answer is empty, and nobody reads it.
func EventBridge(handler func(ctx context.Context, event json.RawMessage) error) func(context.Context, json.RawMessage) (struct{}, error) {
	return func(ctx context.Context, event json.RawMessage) (struct{}, error) {
		ctx, done := early(ctx)
		defer done()
		return struct{}{}, unpanicked(func() error { return handler(ctx, event) })
	}
}
