package otelhooks

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/eventstore"
)

// Store returns the store with its appends and reads told of. It has every optional power of the
// store: [eventstore.Notifier], [eventstore.StreamDeleter], [eventstore.CommandPruner] and
// [eventstore.Capable]. What the store has besides is reached through the store itself; so wrap
// what its In returns, too: hooks.Store(store.In(tx)).
//
// An append under a sampled span stores the span's trace context in the metadata of its events. It
// is no part of what a command is remembered with.
func (h *Hooks) Store(store eventstore.Store) eventstore.Store { return &hooked{store, h} }

// hooked forwards the powers that are found by assertion in a way that fits a store without
// them: it is then polled, deletes and forgets nothing and says so, as the store itself would.
type hooked struct {
	eventstore.Store

	hooks *Hooks
}

var (
	_ eventstore.Notifier      = (*hooked)(nil)
	_ eventstore.StreamDeleter = (*hooked)(nil)
	_ eventstore.CommandPruner = (*hooked)(nil)
	_ eventstore.Portable      = (*hooked)(nil)
	_ eventstore.Capable       = (*hooked)(nil)
)

func (s *hooked) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	return eventstore.WaitAppended(ctx, s.Store, beyond)
}

func (s *hooked) Capabilities(ctx context.Context) (eventstore.Capabilities, error) {
	return eventstore.CapabilitiesOf(ctx, s.Store)
}

func (s *hooked) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	deleter, can := s.Store.(eventstore.StreamDeleter)
	if !can {
		return eventstore.Receipt{}, &eventstore.UnsupportedError{Part: eventstore.Deletion}
	}
	return s.hooks.write(ctx, "delete", 1, []eventstore.Write{{Stream: stream}}, func(ctx context.Context) (eventstore.Receipt, error) {
		return deleter.DeleteStream(ctx, stream, expected)
	})
}

func (s *hooked) PruneCommands(ctx context.Context, before time.Time) (int64, error) {
	pruner, can := s.Store.(eventstore.CommandPruner)
	if !can {
		return 0, &eventstore.UnsupportedError{Part: eventstore.Pruning}
	}
	return pruner.PruneCommands(ctx, before)
}

func (s *hooked) ReadCommands(ctx context.Context, through eventstore.Anchor) iter.Seq2[eventstore.RememberedCommand, error] {
	portable, can := s.Store.(eventstore.Portable)
	if !can {
		return func(yield func(eventstore.RememberedCommand, error) bool) {
			yield(eventstore.RememberedCommand{}, &eventstore.UnsupportedError{Part: eventstore.Importing})
		}
	}
	return portable.ReadCommands(ctx, through)
}

func (s *hooked) BeginImport(ctx context.Context, id eventstore.StoreID) (life eventstore.Identity, err error) {
	err = s.portable(func(p eventstore.Portable) error {
		life, err = p.BeginImport(ctx, id)
		return err
	})
	return life, err
}

func (s *hooked) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	return s.portable(func(p eventstore.Portable) error { return p.Import(ctx, life, events, commands) })
}

func (s *hooked) EndImport(ctx context.Context, end eventstore.Token) error {
	return s.portable(func(p eventstore.Portable) error { return p.EndImport(ctx, end) })
}

func (s *hooked) portable(do func(eventstore.Portable) error) error {
	portable, can := s.Store.(eventstore.Portable)
	if !can {
		return &eventstore.UnsupportedError{Part: eventstore.Importing}
	}
	return do(portable)
}

func (s *hooked) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	return s.hooks.write(ctx, "append", request.EventCount(), request.Writes, func(ctx context.Context) (eventstore.Receipt, error) {
		stamped, changed := stamp(ctx, request)
		receipt, err := s.Store.Append(ctx, stamped)
		if changed && errors.Is(err, eventstore.ErrTooLarge) { // nothing was appended, and it may be our fault
			return s.Store.Append(ctx, request)
		}
		return receipt, err
	})
}

// write surrounds what appends to the log with a span, and counts it.
func (h *Hooks) write(ctx context.Context, operation string, events int, writes []eventstore.Write, do func(context.Context) (eventstore.Receipt, error)) (eventstore.Receipt, error) {
	start := time.Now()
	ctx, span := h.tracer.Start(ctx, operation+" "+categoryOf(writes), trace.WithSpanKind(trace.SpanKindProducer))
	defer span.End()
	receipt, err := do(ctx)
	if span.IsRecording() {
		span.SetAttributes(messagingSystem.String(leftfold), messagingType.String(operationOfProducer), messagingOperation.String(operation),
			messagingLog.String(categoryOf(writes)), messagingCount.Int(events), repeated.Bool(receipt.Repeated))
		if len(writes) == 1 {
			span.SetAttributes(streamName.String(string(writes[0].Stream)))
		}
		if err == nil {
			span.SetAttributes(position.Int64(int64(receipt.Token.Position)))
		}
	}
	settle(span, err)
	h.appendTook.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(outcome(err, repeated.Bool(receipt.Repeated))))
	if err == nil && !receipt.Repeated {
		h.appended.Record(ctx, int64(events))
	}
	return receipt, err
}

// categoryOf names where an append goes, for the name of a span: of those there must be few.
func categoryOf(writes []eventstore.Write) string {
	if len(writes) == 0 {
		return "nothing"
	}
	category := writes[0].Stream.Category()
	for _, w := range writes {
		if w.Stream.Category() != category {
			return "several"
		}
	}
	return category
}

func (s *hooked) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	if !isTraced(ctx) {
		return s.Store.ReadStream(ctx, stream, in)
	}
	return func(yield func(eventstore.Recorded, error) bool) {
		ctx, span := s.hooks.tracer.Start(ctx, "load "+stream.Category(), trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(messagingOperation.String("load"), streamName.String(string(stream))))
		defer span.End()
		pass(span, s.Store.ReadStream(ctx, stream, in), yield)
	}
}

// ReadLog is that of the store. The span is that of the loop over the events, as in a decision
// over a query.
func (s *hooked) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	read, err := s.Store.ReadLog(ctx, query)
	if err != nil || !isTraced(ctx) {
		return read, err
	}
	return eventstore.NewLogRead(*read, func(yield func(eventstore.Recorded, error) bool) {
		_, span := s.hooks.tracer.Start(ctx, "read log", trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(messagingOperation.String("read")))
		defer span.End()
		pass(span, read.Events(), yield)
	}), nil
}

// isTraced reports whether a span is under way.
func isTraced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }

// pass hands events on, and gives the span their number and the outcome.
func pass(span trace.Span, events iter.Seq2[eventstore.Recorded, error], yield func(eventstore.Recorded, error) bool) {
	var failed error
	count := 0
	defer func() {
		span.SetAttributes(eventCount.Int(count))
		settle(span, failed)
	}()
	for event, err := range events {
		if err != nil {
			failed = err
		} else {
			count++
		}
		if !yield(event, err) {
			return
		}
	}
}
