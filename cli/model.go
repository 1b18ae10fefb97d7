package cli

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// model is whatever follows a log and keeps a checkpoint in a sink: a projection, a relay, or a part of a
// saga.
type model struct {
	projection.Generation

	kind kind
	log  eventstore.LogReader
	sink projection.Checkpoints

	// What of the program's code it is, for the verbs that need that; nil: nothing.
	worker *projection.Worker // whose task it is
	task   *projection.Task
	relay  *relay.Relay
	sagas  *saga.Worker
}

// kind is what a model is of the program.
type kind string

const (
	aView    kind = "view"
	aHandler kind = "handler"
	aRelay   kind = "relay"
	ofASaga  kind = "saga"
	anInline kind = "inline" // appends apply it
)

// models returns all that the parts follow logs by, in the order in which they name it.
func (p Parts) models() (all []model, err error) {
	for n := range p.Projections {
		w := &p.Projections[n]
		for i := range w.Tasks {
			all = append(all, modelOf(w, &w.Tasks[i]))
		}
	}
	for n := range p.Relays {
		r := &p.Relays[n]
		all = append(all, model{Generation: r.Generation(), kind: aRelay, log: r.Log, sink: r.Sink, relay: r})
	}
	for n := range p.Sagas {
		w := &p.Sagas[n]
		follows, err := w.Subscriptions()
		if err != nil {
			return nil, err
		}
		for _, s := range follows {
			all = append(all, model{Generation: s.Generation, kind: ofASaga, log: s.Log, sink: w.Sink, sagas: w})
		}
	}
	return all, nil
}

func modelOf(w *projection.Worker, task *projection.Task) model {
	r := task.Registration()
	m := model{Generation: r.Generation, kind: aView, log: w.Log, sink: task.Sink(), worker: w, task: task}
	if r.Row == nil {
		m.kind = aHandler
	}
	return m
}

// named returns those of a name, which must be there.
func named(all []model, name string) (found []model, err error) {
	for _, m := range all {
		if m.Name == name {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no projection %q: projections list has their names", name)
	}
	return found, nil
}
