package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// maxSwitch is how many events are applied under the lock of the store when a projection
// becomes inline: appends wait meanwhile.
const maxSwitch = 1000

// behindError says that a projection must come nearer to the head before it can become inline.
type behindError struct {
	generation Generation
	events     eventstore.Position
	divided    bool
}

func (e *behindError) Error() string {
	return fmt.Sprintf("projection %s is %d events behind, and is divided into segments: let its workers come nearer than %d, then switch again", e.generation, e.events, maxSwitch)
}

// AloneError is how a sink refuses another source of a generation that a store applies inline.
func AloneError(of Generation) error {
	return fmt.Errorf("%w; and an append cannot apply what another store has: give %s another name there, or switch the store back first", ErrInline, of)
}

// Switch is how a store carries out SwitchInline. It calls flip, a transaction that makes the
// set the inline one, and lets a projection that is too far behind catch up before it calls it
// again.
func (s *InlineSet[Tx]) Switch(ctx context.Context, log eventstore.LogReader, sink interface {
	Sink
	TxSink[Tx]
}, flip func(context.Context) error) error {
	for {
		err := flip(ctx)
		if err == nil {
			return s.show(ctx, sink)
		}
		far, ok := errors.AsType[*behindError](err)
		if !ok || far.divided {
			return err
		}
		if err := s.catchUp(ctx, log, far.generation, sink); err != nil {
			return err
		}
	}
}

// show makes those live that replace another generation: they are at the head.
func (s *InlineSet[Tx]) show(ctx context.Context, sink Sink) error {
	for _, model := range s.Models() {
		builds, err := sink.Builds(ctx, model.Name)
		if err != nil {
			return err
		}
		if b, _ := FindBuild(builds, model.Generation); b.Stage == Live {
			continue
		}
		if err := sink.Index(ctx, model); err != nil {
			return fmt.Errorf("make the indexes of %s: %w", model.Generation, err)
		}
		if err := sink.Promote(ctx, model.Generation); err != nil {
			return fmt.Errorf("make %s live: %w", model.Generation, err)
		}
	}
	return nil
}

// catchUp applies the log to one of the projections as a [Runner] does.
func (s *InlineSet[Tx]) catchUp(ctx context.Context, log eventstore.LogReader, of Generation, sink interface {
	Sink
	TxSink[Tx]
}) error {
	runner := Runner{Log: log, Events: s.events}
	for _, v := range s.views {
		if v.described().model.Generation == of {
			runner.Tasks = append(runner.Tasks, v.task(sink))
		}
	}
	for _, h := range s.handlers {
		if h.handler.model.Generation == of {
			runner.Tasks = append(runner.Tasks, On[Tx](sink, h.handler))
		}
	}
	subscriptions, err := runner.open(ctx)
	if err != nil {
		return err
	}
	// Of a generation that is not live yet only this much: the flip makes it live.
	return each(ctx, subscriptions, func(s *running, ctx context.Context) error { return s.CatchUp(ctx) })
}

// Level is for flip, in its transaction and under the lock of the store: it applies what the
// log has after the checkpoints of a projection's segments, and returns the one at the head
// that all of them have then. The transaction's Write does not move checkpoints here.
func (s *InlineSet[Tx]) Level(ctx context.Context, log eventstore.LogReader, tx InlineTx[Tx], of Generation, segments []subscription.Checkpoint, parked []Parked) (at subscription.Checkpoint, err error) {
	if len(parked) > 0 {
		return at, &ParkedError{Model: of.Name, Keys: parked}
	}
	head, err := log.Head(ctx)
	if err != nil {
		return at, fmt.Errorf("read the head: %w", err)
	}
	if behind := head.Position - subscription.Lowest(segments).Position(); behind > maxSwitch {
		return at, &behindError{of, behind, len(segments) > 1}
	}
	for _, from := range segments {
		one := s.of(of, from.Segment)
		window, err := subscription.ReadWindow(ctx, log, one.parts()[0].query, from, head.Position)
		if err != nil {
			return at, fmt.Errorf("projection %s: %w", of, err)
		}
		err = one.Apply(ctx, tx, [][]eventstore.Recorded{window.Events})
		if refused, ok := errors.AsType[*InlineRefusalError](err); ok {
			err = refused.Appends[0]
		}
		if err != nil {
			return at, err
		}
		at = window.To
	}
	return at, nil
}

// of returns the set of one of the projections, for the keys of a segment.
func (s *InlineSet[Tx]) of(generation Generation, segment subscription.Segment) *InlineSet[Tx] {
	one := &InlineSet[Tx]{events: s.events}
	for _, v := range s.views {
		if v.described().model.Generation == generation {
			one.views = append(one.views, v.within(segment))
		}
	}
	for _, h := range s.handlers {
		if h.handler.model.Generation == generation {
			one.handlers = append(one.handlers, inlineHandler[Tx]{h.handler, segment})
		}
	}
	return one
}
