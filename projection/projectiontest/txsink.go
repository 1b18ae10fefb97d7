package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// TxParts is a sink whose transactions the suite can write in.
type TxParts[Tx any] struct {
	Sink projection.TxSink[Tx]
	// Store is a store with no events, whose log handlers are run over.
	Store eventstore.Store
	// Add adds one to a counter, in the transaction.
	Add func(ctx context.Context, tx Tx, counter string) error
	// Read returns a counter as committed; 0 if there is none.
	Read func(ctx context.Context, counter string) (int, error)
}

// RunTxSink checks the sinks that open returns against every clause of [projection.TxSink].
func RunTxSink[Tx any](t *testing.T, open func(t testing.TB) TxParts[Tx]) {
	run(t, txSinkClauses[Tx](), open)
}

var handlerModel = projection.Model{Generation: projection.Generation{Name: "handled", Version: 1}, Hash: "handled"}

// txStand is a transactional sink, and where its checkpoint stands.
type txStand[Tx any] struct {
	TxParts[Tx]
	at subscription.Checkpoint
}

func (s *txStand[Tx]) add(ctx context.Context, from subscription.Checkpoint, counter string, then error) error {
	to := onward(from, 1)
	err := s.Sink.Transact(ctx, handlerModel.Generation, projection.Move{From: from, To: to}, func(ctx context.Context, tx Tx) error {
		return first(s.Add(ctx, tx, counter), then)
	})
	if err == nil {
		s.at = to
	}
	return err
}

// restart counts one more, in the transaction: so it shows whether that was committed.
func (s *txStand[Tx]) restart(ctx context.Context, model projection.Model, then error) error {
	return s.Sink.Restart(ctx, model, source, func(ctx context.Context, tx Tx) error {
		return first(s.Add(ctx, tx, "a"), then)
	})
}

func (s *txStand[Tx]) has(ctx context.Context, counter string, want int) error {
	got, err := s.Read(ctx, counter)
	at, atErr := s.Sink.Checkpoint(ctx, handlerModel.Generation, source.Store)
	return first(err, atErr, same("counter "+counter, got, want), same("checkpoint", at, s.at))
}

func txSinkClauses[Tx any]() []clause[TxParts[Tx]] {
	on := func(rule string, check func(ctx context.Context, s *txStand[Tx]) error) clause[TxParts[Tx]] {
		return clause[TxParts[Tx]]{rule, func(ctx context.Context, parts TxParts[Tx]) error {
			if err := parts.Sink.Open(ctx, handlerModel, source); err != nil {
				return fmt.Errorf("open: %w", err)
			}
			at, err := parts.Sink.Checkpoint(ctx, handlerModel.Generation, source.Store)
			return first(err, check(ctx, &txStand[Tx]{parts, at}))
		}}
	}
	return []clause[TxParts[Tx]]{
		on("what a handler writes commits together with the checkpoint", func(ctx context.Context, s *txStand[Tx]) error {
			return first(s.add(ctx, s.at, "a", nil), s.has(ctx, "a", 1), s.add(ctx, s.at, "a", nil), s.has(ctx, "a", 2))
		}),
		on("a handler's error rolls back both, and comes back as it is", func(ctx context.Context, s *txStand[Tx]) error {
			refusal := errors.New("refused by the handler")
			return first(s.add(ctx, s.at, "a", nil), is("transact", s.add(ctx, s.at, "a", refusal), refusal), s.has(ctx, "a", 1))
		}),
		on("a move from another checkpoint than the stored one is ErrStale and writes nothing", func(ctx context.Context, s *txStand[Tx]) error {
			before := s.at
			return first(s.add(ctx, before, "a", nil), is("transact", s.add(ctx, before, "a", nil), subscription.ErrStale), s.has(ctx, "a", 1))
		}),
		on("a handler that ends its goroutine leaves nothing behind and holds up nobody", func(ctx context.Context, s *txStand[Tx]) error {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = s.Sink.Transact(ctx, handlerModel.Generation, projection.Move{From: s.at, To: onward(s.at, 1)}, func(ctx context.Context, tx Tx) error {
					_ = s.Add(ctx, tx, "a")
					runtime.Goexit()
					return nil
				})
			}()
			<-ended
			return first(s.has(ctx, "a", 0), s.add(ctx, s.at, "a", nil), s.has(ctx, "a", 1))
		}),
		on("a restart empties what was written and begins at position 0, both or neither", func(ctx context.Context, s *txStand[Tx]) error {
			if err := first(s.add(ctx, s.at, "a", nil), s.add(ctx, s.at, "a", nil)); err != nil {
				return err
			}
			refusal, before := errors.New("refused"), s.at
			failed := s.restart(ctx, handlerModel, refusal)
			if err := first(is("restart", failed, refusal), s.has(ctx, "a", 2), s.restart(ctx, handlerModel, nil)); err != nil {
				return err
			}
			zombie := s.add(ctx, before, "a", nil)
			at, err := s.Sink.Checkpoint(ctx, handlerModel.Generation, source.Store)
			s.at = at
			return first(err, same("position", at.Position(), eventstore.Position(0)), is("transact", zombie, subscription.ErrStale), s.has(ctx, "a", 3), s.add(ctx, at, "a", nil), s.has(ctx, "a", 4))
		}),
		on("a restart leaves one version of the name, whose definition may be another one", func(ctx context.Context, s *txStand[Tx]) error {
			changed, second := handlerModel, handlerModel
			changed.Hash, second.Version = "changed", 2
			if err := first(s.add(ctx, s.at, "a", nil), s.restart(ctx, changed, nil), s.Sink.Open(ctx, changed, source), s.restart(ctx, second, nil)); err != nil {
				return err
			}
			builds, err := s.Sink.Builds(ctx, handlerModel.Name)
			zombie := s.add(ctx, s.at, "a", nil)
			return first(err, same("versions", len(builds), 1), same("generation", builds[0].Generation, second.Generation), same("stage", builds[0].Stage, projection.Live),
				is("transact to the old one", zombie, subscription.ErrStale), is("open the old one", s.Sink.Open(ctx, changed, source), projection.ErrOutdated))
		}),
		on("a handler's panic leaves nothing behind", func(ctx context.Context, s *txStand[Tx]) error {
			func() {
				defer func() { _ = recover() }()
				_ = s.Sink.Transact(ctx, handlerModel.Generation, projection.Move{From: s.at, To: onward(s.at, 1)}, func(ctx context.Context, tx Tx) error {
					_ = s.Add(ctx, tx, "a")
					panic("by the handler")
				})
			}()
			return first(s.has(ctx, "a", 0), s.add(ctx, s.at, "a", nil), s.has(ctx, "a", 1))
		}),
		on("the key of an event that a handler fails on is parked, the others go on, and a retry handles what it lacks", func(ctx context.Context, s *txStand[Tx]) error {
			return s.parks(ctx)
		}),
	}
}

var errPoison = errors.New("poison")

// counts is a handler that counts the events of each stream, and fails on poison, after it has
// counted that, until it is repaired.
func (s *txStand[Tx]) counts(repaired bool) projection.Task {
	options := projection.HandlerOptions{Version: 1, Key: func(e eventstore.Recorded) string { return e.Stream.ID() }}
	return projection.On(s.Sink, projection.NewHandler("counts", options, func(ctx context.Context, tx Tx, e eventstore.Recorded) error {
		err := s.Add(ctx, tx, e.Stream.ID())
		if e.Type == "poison" && !repaired {
			return errors.Join(err, errPoison)
		}
		return err
	}))
}

func (s *txStand[Tx]) parks(ctx context.Context) error {
	of := projection.Generation{Name: "counts", Version: 1}
	happen := func(stream string, types ...string) error {
		write := eventstore.Write{Stream: eventstore.NewStreamID("item", stream)}
		for _, t := range types {
			write.Events = append(write.Events, eventstore.EventData{Type: t, Data: []byte("{}")})
		}
		_, err := s.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{write}})
		return err
	}
	count := func(stream string, want int) error {
		got, err := s.Read(ctx, stream)
		return first(err, same("events of "+stream, got, want))
	}
	if err := first(happen("good", "plain"), happen("bad", "plain"), happen("good", "plain", "plain"), happen("bad", "plain", "poison", "plain"),
		happen("good", "plain"), happen("worse", "poison", "poison"), happen("good", "plain")); err != nil {
		return err
	}
	return whileWorking(ctx, projection.Worker{Log: s.Store, Tasks: []projection.Task{s.counts(false)}, TTL: time.Second, Segments: 2}, func(ctx context.Context) error {
		status, err := applied(ctx, s.Store, s.Sink, of)
		if err := first(err, count("good", 5), count("bad", 2), count("worse", 0), same("parked", len(status.Parked), 2)); err != nil {
			return err
		}
		bad := status.Parked[0]
		if err := first(same("key", bad.Key, "bad"), same("position", bad.Event.Position, eventstore.Position(6)), same("type", bad.Type, "poison")); err != nil {
			return err
		}
		if !strings.Contains(bad.Cause, errPoison.Error()) {
			return fmt.Errorf("the cause is %q", bad.Cause)
		}
		if err := first(is("retry", projection.Retry(ctx, s.Store, nil, s.counts(false), "bad"), errPoison), count("bad", 2)); err != nil {
			return err
		}
		if err := first(projection.Retry(ctx, s.Store, nil, s.counts(true), "bad"), count("bad", 4), projection.Skip(ctx, s.Store, nil, s.counts(true), "worse"), count("worse", 0)); err != nil {
			return err
		}
		if err := first(happen("bad", "plain"), happen("worse", "plain")); err != nil {
			return err
		}
		status, err = applied(ctx, s.Store, s.Sink, of)
		return first(err, count("bad", 5), count("worse", 1), count("good", 5), same("parked", len(status.Parked), 0))
	})
}
