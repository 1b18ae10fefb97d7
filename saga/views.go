package saga

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Timer is a timer that is pending.
type Timer struct {
	ID       string `leftfold:"key"`
	Instance string // whose timer it is: the id part of its stream
	Name     string // the step that may time out, or the command that is tried again
	Due      time.Time
}

// Instance is how an instance does.
type Instance struct {
	ID        string `leftfold:"key"`
	Phase     Phase
	Undoing   bool   // it is compensating, whether it is stuck or not
	Step      string // that started, failed or was undone last
	Reason    string // why a step failed, or with what the instance is stuck
	BeganAt   time.Time
	ChangedAt time.Time
}

// Timers is the view of the saga's pending timers, by the time at which they are due. The workers
// of the saga keep it; see [projection.NewReader].
func (t *Type[S]) Timers() *projection.View[Timer] { return timersOf(t.name) }

// Instances is the view of the saga's instances, by phase and by the time of their last change.
func (t *Type[S]) Instances() *projection.View[Instance] { return instancesOf(t.name) }

func timersOf(saga string) *projection.View[Timer] {
	return projection.NewView(saga+"_timers", projection.ViewOptions{Version: 1, Indexes: []string{"due"}},
		projection.WhenKeyed(func(e timerSet, m eventstore.Recorded) string {
			if m.Stream.Category() != saga {
				return ""
			}
			return e.ID
		}, func(row *Timer, e timerSet, m eventstore.Recorded) {
			row.Instance, row.Name, row.Due = m.Stream.ID(), e.Name, e.Due
		}),
		projection.Delete[Timer](func(e timerFired) string { return e.ID }),
		projection.Delete[Timer](func(e timerCancelled) string { return e.ID }))
}

func instancesOf(saga string) *projection.View[Instance] {
	return projection.NewView(saga+"_instances", projection.ViewOptions{Version: 1, Indexes: []string{"phase", "changed_at"}},
		change[observed](saga), change[stepStarted](saga), change[stepFailed](saga), change[stepAbandoned](saga),
		change[stepUndone](saga), change[compensating](saga), change[stuck](saga), change[unstuck](saga), change[ended](saga))
}

// apply folds a record into the row.
func (row *Instance) apply(r record) {
	switch e := r.(type) {
	case observed:
		if e.Begins {
			row.Phase, row.BeganAt = Running, e.At
		}
	case stepStarted:
		row.Step = e.Step
	case stepFailed:
		row.Step, row.Reason = e.Step, e.Reason
	case stepAbandoned:
		row.Step, row.Reason = e.Step, e.Reason
	case stepUndone:
		row.Step = e.Step
	case compensating:
		row.Phase, row.Undoing = Compensating, true
	case stuck:
		row.Phase, row.Step, row.Reason = Stuck, e.Step, e.Reason
	case unstuck:
		row.Phase = phaseOf(row.Undoing)
	case ended:
		row.Phase, row.Undoing = e.Phase, false
	}
}

func phaseOf(undoing bool) Phase {
	if undoing {
		return Compensating
	}
	return Running
}

// change folds records of the saga's own instances.
func change[E any](saga string) projection.Rule[Instance] {
	return projection.WhenKeyed(func(_ E, m eventstore.Recorded) string {
		if m.Stream.Category() != saga {
			return ""
		}
		return m.Stream.ID()
	}, func(row *Instance, e E, m eventstore.Recorded) {
		row.ChangedAt = m.RecordedAt
		row.apply(e)
	})
}

// Await waits until the instance with the id has ended, and returns how. It is woken by the store, which is
// that of the instances; an instance that has not begun or is stuck is waited for until ctx ends. One
// that is deleted is [eventstore.ErrStreamDeleted].
func (t *Type[S]) Await(ctx context.Context, store Store, id string) (Instance, error) {
	row := Instance{ID: id}
	var read eventstore.Version
	for {
		head, err := store.Head(ctx) // before we look, so that nothing is missed
		if err != nil {
			return row, fmt.Errorf("await %s: %w", t.Stream(id), err)
		}
		for m, err := range store.ReadStream(ctx, t.Stream(id), eventstore.StreamRange{After: read}) {
			var values []any
			if err == nil {
				values, err = records.Decode(m)
			}
			if err != nil {
				return row, fmt.Errorf("await %s: %w", t.Stream(id), err)
			}
			for _, value := range values {
				row.apply(value)
			}
			read, row.ChangedAt = m.Version, m.RecordedAt
		}
		if row.Phase.Ended() {
			return row, nil
		}
		if err := eventstore.WaitAppended(ctx, store, head.Position); err != nil {
			return row, fmt.Errorf("await %s: %w", t.Stream(id), err)
		}
	}
}

// InPhase yields the saga's instances that are in a phase, by id. Those that are [Stuck] wait for
// people: count them for an alarm, and see [Type.Resume]. An error is yielded once, as the last
// element.
func (t *Type[S]) InPhase(ctx context.Context, sink projection.Sink, phase Phase) iter.Seq2[Instance, error] {
	from := projection.ListQuery{By: "phase", After: &projection.Cursor{Value: string(phase)}}
	return func(yield func(Instance, error) bool) {
		for row, err := range projection.NewReader(sink, t.Instances()).All(ctx, from) {
			if err == nil && row.Phase != phase || !yield(row, err) {
				return
			}
		}
	}
}
