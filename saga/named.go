package saga

import (
	"context"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Named is a saga of which nothing is known but the name: enough to look at what its workers have kept.
type Named string

// Name returns the saga's name.
func (n Named) Name() string { return string(n) }

// Timers is as [Type.Timers].
func (n Named) Timers() *projection.View[Timer] { return timersOf(string(n)) }

// Instances is as [Type.Instances].
func (n Named) Instances() *projection.View[Instance] { return instancesOf(string(n)) }

// Timeline is as [Type.Timeline].
func (n Named) Timeline(ctx context.Context, store eventstore.StreamReader, id string) ([]Entry, error) {
	return timelineOf(ctx, store, eventstore.NewStreamID(string(n), id))
}

// NamesAmong returns the sagas whose views are among the names of read models, as [projection.Lister]
// has them.
func NamesAmong(models []string) (all []Named) {
	is := map[string]bool{}
	for _, name := range models {
		is[name] = true
	}
	for _, name := range models {
		saga, ok := strings.CutSuffix(name, "_instances")
		if ok && is[saga+"_timers"] && is[saga+"_told"] && is[saga+"_sent"] {
			all = append(all, Named(saga))
		}
	}
	return all
}
