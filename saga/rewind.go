package saga

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Rewind has the worker's sagas told everything again from the first event on, and makes their views again. Call it
// after the store of the instances alone was restored from a backup, and the checkpoints were not: they say of what
// the store has lost that it was told. Nothing need be stopped for it.
//
// What an instance knows already has no effect, and a command that is sent again has the id that it had: whoever
// handles it has to remember that for as long as a backup is old. An event that came before the one that
// begins its instance, and was passed by then, is told now. What the receivers do not remember is a refusal: an
// instance that is lost and was compensated may be completed now, without what was undone. Look at those first if
// what was refused may be accepted by now.
func (w Worker) Rewind(ctx context.Context) error {
	w, err := w.orDefault()
	if err != nil {
		return err
	}
	for _, s := range w.Sagas {
		again := []projection.Generation{modelOf(s.Name(), "sent").Generation, s.Timers().Generation(), s.Instances().Generation()}
		for _, of := range again {
			if err := w.rewind(ctx, w.Store, of); err != nil {
				return err
			}
		}
		for _, source := range w.Sources {
			if err := w.rewind(ctx, source, modelOf(s.Name(), "told").Generation); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w Worker) rewind(ctx context.Context, log eventstore.LogReader, of projection.Generation) error {
	head, err := log.Head(ctx)
	if err == nil {
		err = w.Sink.Reset(ctx, of, head.Identity)
	}
	if err != nil && !errors.Is(err, projection.ErrNotBuilt) {
		return fmt.Errorf("rewind %s: %w", of, err)
	}
	return nil
}
