package projection

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Fold returns the rows that the events give, in memory and by key: what a reader would
// find after a projection into an empty read model. For tests and for checking rows.
//
// It fails where the projection would: with an [EventError], or on a value that cannot
// be stored. It folds twice, once as one window and once with the rows stored after each
// event, and fails if the rows differ: then a rebuild would not give the same ones. That
// happens if a fold uses what is not stored, such as a field that JSON leaves out.
func (v *View[R]) Fold(events *codec.Set, log []eventstore.Recorded) (map[string]R, error) {
	model, types, err := v.model(events)
	if err != nil {
		return nil, err
	}
	handled := slices.DeleteFunc(slices.Clone(log), func(m eventstore.Recorded) bool { return !slices.Contains(types, m.Type) })
	t := newViewTarget(v, model, nil, events)
	whole, err := t.foldWindow(handled)
	if err != nil {
		return nil, err
	}
	stepwise, err := t.foldStepwise(handled)
	if err != nil {
		return nil, err
	}
	folded := make(map[string]R, len(stepwise))
	for n, r := range stepwise {
		if err := t.sameRow(whole[n], r); err != nil {
			return nil, err
		}
		if r.exists {
			folded[r.key] = r.value
		}
	}
	return folded, nil
}

func (t *viewTarget[R]) foldWindow(log []eventstore.Recorded) ([]*row[R], error) {
	b, err := t.batchOf(log)
	if err != nil {
		return nil, err
	}
	return b.rows, t.fold(b)
}

// foldStepwise is foldWindow with every row stored and read back after each event.
func (t *viewTarget[R]) foldStepwise(log []eventstore.Recorded) ([]*row[R], error) {
	b, err := t.batchOf(log)
	if err != nil {
		return nil, err
	}
	for n := range b.touches {
		if err := t.fold(&batch[R]{touches: b.touches[n : n+1]}); err != nil {
			return nil, err
		}
		if err := t.restore(b.touches[n].row); err != nil {
			return nil, err
		}
	}
	return b.rows, nil
}

// restore gives the row the value that a sink would give back.
func (t *viewTarget[R]) restore(r *row[R]) error {
	if !r.exists {
		return nil
	}
	encoded, err := t.view.mapping.encode(r.key, r.reflected())
	if err != nil {
		return err
	}
	var fresh row[R]
	if err := t.view.mapping.decode(encoded, fresh.reflected()); err != nil {
		return err
	}
	r.value = fresh.value
	return nil
}

func (t *viewTarget[R]) sameRow(whole, stepwise *row[R]) error {
	if whole.exists != stepwise.exists {
		return fmt.Errorf("row %q depends on where a window of events ends", whole.key)
	}
	a, err := t.view.mapping.encode(whole.key, whole.reflected())
	if err != nil {
		return err
	}
	b, err := t.view.mapping.encode(stepwise.key, stepwise.reflected())
	if err != nil {
		return err
	}
	for n, column := range t.view.mapping.columns {
		if !reflect.DeepEqual(a.Values[n], b.Values[n]) {
			return fmt.Errorf("row %q depends on where a window of events ends: folded at once %s is %v, stored in between it is %v; a fold uses what is not stored",
				whole.key, column.Name, a.Values[n], b.Values[n])
		}
	}
	return nil
}
