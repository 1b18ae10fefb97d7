package otelhooks

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
	"github.com/leftfold/leftfold/saga"
)

// Attributes of the semantic conventions.
const (
	errorType           = attribute.Key("error.type")
	messagingSystem     = attribute.Key("messaging.system")
	messagingOperation  = attribute.Key("messaging.operation.name")
	messagingType       = attribute.Key("messaging.operation.type")
	messagingCount      = attribute.Key("messaging.batch.message_count")
	messagingLog        = attribute.Key("messaging.destination.name")
	messagingPartition  = attribute.Key("messaging.destination.partition.id")
	messagingConsumers  = attribute.Key("messaging.consumer.group.name")
	leftfold            = "leftfold" // the messaging system
	operationOfProducer = "send"
	operationOfConsumer = "process"
)

// Attributes of ours.
const (
	commandName       = attribute.Key("leftfold.command")
	commandID         = attribute.Key("leftfold.command_id") // of spans alone
	queryName         = attribute.Key("leftfold.query")
	waited            = attribute.Key("leftfold.query.waited") // seconds
	stale             = attribute.Key("leftfold.query.stale")
	age               = attribute.Key("leftfold.query.age") // seconds, at most
	correlation       = attribute.Key("leftfold.correlation_id")
	repeated          = attribute.Key("leftfold.repeated")
	streamName        = attribute.Key("leftfold.stream")
	position          = attribute.Key("leftfold.position")
	eventCount        = attribute.Key("leftfold.events")
	projectionName    = attribute.Key("leftfold.projection")
	projectionVersion = attribute.Key("leftfold.projection.version")
	projectionStage   = attribute.Key("leftfold.projection.stage")
	segmentState      = attribute.Key("leftfold.segment.state")
)

// errorTypes are the words for failures: few, so that they can be attributes of metrics. The
// first that matches is taken.
var errorTypes = []struct {
	is   error
	word string
}{
	{saga.ErrRefused, "refused"},
	{eventstore.ErrOutcomeUnknown, "outcome_unknown"},
	{eventstore.ErrVersionConflict, "version_conflict"},
	{eventstore.ErrConditionFailed, "condition_failed"},
	{eventstore.ErrConditionTooWide, "condition_too_wide"},
	{eventstore.ErrIdempotencyMismatch, "idempotency_mismatch"},
	{eventstore.ErrStreamDeleted, "stream_deleted"},
	{command.ErrInvalidCommand, "invalid_command"},
	{eventstore.ErrInvalid, "invalid"},
	{eventstore.ErrTooLarge, "too_large"},
	{eventstore.ErrStoreBusy, "store_busy"},
	{eventstore.ErrUnsupported, "unsupported"},
	{eventstore.ErrImporting, "importing"},
	{eventstore.ErrClosed, "closed"},
	{eventstore.ErrDiverged, "diverged"},
	{eventstore.ErrForeignToken, "foreign_token"},
	{subscription.ErrStale, "stale"},
	{query.ErrUnknownAge, "unknown_age"},
	{projection.ErrNotFound, "not_found"},
	{errPanic, "panic"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "deadline_exceeded"},
}

// errPanic stands for a panic on its way through us.
var errPanic = errors.New("panic")

// errorTypeOf returns the word for a failure.
func errorTypeOf(err error) attribute.KeyValue {
	if _, caught := errors.AsType[*command.PanicError](err); caught {
		return errorType.String("panic")
	}
	if _, late := errors.AsType[*query.NotCaughtUpError](err); late {
		return errorType.String("not_caught_up")
	}
	for _, t := range errorTypes {
		if errors.Is(err, t.is) {
			return errorType.String(t.word)
		}
	}
	if _, said := errors.AsType[*aggregate.RefusedError](err); said {
		return errorType.String("refused") // nothing failed
	}
	if _, said := errors.AsType[*command.ForbiddenError](err); said {
		return errorType.String("forbidden")
	}
	return errorType.String("_OTHER") // that of the conventions for whatever has no word
}

// settle gives a span its outcome, before it ends.
func settle(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetAttributes(errorTypeOf(err))
		span.SetStatus(codes.Error, err.Error())
	}
}

// outcome returns attributes with the word for the failure, if there is one.
func outcome(err error, attributes ...attribute.KeyValue) attribute.Set {
	if err != nil {
		attributes = append(attributes, errorTypeOf(err))
	}
	return attribute.NewSet(attributes...)
}
