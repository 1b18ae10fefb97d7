package projectiontest

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

var checkpointClauses = []clause[projection.Sink]{
	{"a generation that was never opened has the zero checkpoint", func(ctx context.Context, sink projection.Sink) error {
		got, err := sink.Checkpoint(ctx, projection.Generation{Name: "never", Version: 1}, source.Store)
		return first(err, same("checkpoint", got, subscription.Checkpoint{}))
	}},
	{"reading a generation that was never opened is ErrNotBuilt", func(ctx context.Context, sink projection.Sink) error {
		_, err := sink.Load(ctx, everyKind, []string{"a"})
		_, listErr := sink.List(ctx, everyKind, projection.ListQuery{Limit: 1})
		return first(is("load", err, projection.ErrNotBuilt), is("list", listErr, projection.ErrNotBuilt))
	}},
	sinkClause("opening puts the checkpoint at position 0 of the source", func(ctx context.Context, s *stand) error {
		return s.stands(ctx, subscription.Checkpoint{Source: source, Generation: "every_kind@1", Segment: subscription.Whole})
	}),
	sinkClause("opening again changes nothing", func(ctx context.Context, s *stand) error {
		row := plainRow("a", 1, "one")
		return first(s.commit(ctx, put(row)...), s.Open(ctx, s.model, source), s.stays(ctx), s.has(ctx, row))
	}),
	sinkClause("a checkpoint of a source it was not opened for is ErrForeignToken", func(ctx context.Context, s *stand) error {
		_, err := s.Checkpoint(ctx, s.model.Generation, eventstore.StoreID{9})
		return is("checkpoint", err, eventstore.ErrForeignToken)
	}),
	sinkClause("checkpoints of two sources move apart", func(ctx context.Context, s *stand) error {
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
		if err := first(s.commit(ctx), s.Open(ctx, s.model, other)); err != nil {
			return err
		}
		got, err := s.Checkpoint(ctx, s.model.Generation, other.Store)
		return first(err, same("other checkpoint", got.Position(), eventstore.Position(0)), s.stays(ctx))
	}),
	sinkClause("the same generation with another definition is refused", func(ctx context.Context, s *stand) error {
		changed := s.model
		changed.Hash = "other"
		return first(is("open", s.Open(ctx, changed, source), projection.ErrDefinitionChanged), s.stays(ctx))
	}),
	sinkClause("two versions of a view live side by side", func(ctx context.Context, s *stand) error {
		next := &stand{Sink: s.Sink, model: s.model}
		next.model.Version, next.model.Hash = 2, "another"
		next.model.Columns = next.model.Columns[:2]
		next.model.Indexes = nil
		old, young := plainRow("a", 1, "one"), projection.Row{Key: "a", Values: []any{true, int64(2)}}
		if err := first(s.commit(ctx, put(old)...), next.Open(ctx, next.model, source)); err != nil {
			return err
		}
		var err error
		if next.at, err = s.Checkpoint(ctx, next.model.Generation, source.Store); err != nil {
			return err
		}
		return first(
			same("the new one's position", next.at.Position(), eventstore.Position(0)),
			next.commit(ctx, put(young)...), next.has(ctx, young), s.has(ctx, old), s.stays(ctx))
	}),
	sinkClause("a new incarnation of the source is kept with the checkpoint", func(ctx context.Context, s *stand) error {
		to := onward(s.at, 1)
		to.Source.Incarnation = 7
		return first(s.Commit(ctx, s.model, projection.Move{From: s.at, To: to}, nil), s.stands(ctx, to))
	}),
}
