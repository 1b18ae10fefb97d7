package saga

import (
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Subscription is a part of a saga that follows a log, under a name of its own in the worker's sink.
type Subscription struct {
	Saga string
	projection.Generation

	Log eventstore.LogReader
}

// Subscriptions returns what the worker's sagas follow: the events of each source that they are told, the
// commands that they have requested, and the views of their timers and instances. How each of them
// does is told by [projection.StatusOf]; [projection.Pause] and [projection.Resume] steer it.
func (w Worker) Subscriptions() (all []Subscription, err error) {
	w, err = w.orDefault()
	if err != nil {
		return nil, err
	}
	for _, s := range w.Sagas {
		for _, source := range w.Sources {
			all = append(all, Subscription{s.Name(), modelOf(s.Name(), "told").Generation, source})
		}
		for _, of := range []projection.Generation{modelOf(s.Name(), "sent").Generation, s.Timers().Generation(), s.Instances().Generation()} {
			all = append(all, Subscription{s.Name(), of, w.Store})
		}
	}
	return all, nil
}
