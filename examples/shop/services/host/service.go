// Package host runs a service of the shop: it opens the store, keeps the read models up to date, runs
// the sagas, tells the others what has happened, and serves HTTP. A service knows nothing of that.
package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Service is a service without HTTP, addresses or databases.
type Service struct {
	// Name is the one under which the others find it.
	Name string
	// Events are those that it decides on and tells others of. Default: none.
	Events *codec.Set
	// Views are its read models.
	Views []View
	// Aggregates are what decides, to be looked at as it was. Default: none.
	Aggregates func(store aggregate.Store) []cli.Aggregate
	// Commands and Queries register what it does, and what it answers. Snapshots are nil if there are none.
	Commands func(bus *command.Bus, store aggregate.Store, snapshots *aggregate.Snapshots)
	Queries  func(bus *query.Bus, from projection.Readable)
	// Routes are paths of its own, by the pattern of net/http, made of the handler of its commands
	// and queries. Default: none.
	Routes func(api http.Handler) map[string]http.Handler
}

// View is a read model of any row type. [Keep] makes one.
type View interface {
	projection.InlineView

	// Into returns the task of keeping it up to date in a sink.
	Into(sink projection.Sink) projection.Task
	// Check compares its rows with a fresh fold of the log, and returns how many there are.
	Check(ctx context.Context, log []eventstore.Recorded, sink projection.Readable) (rows int, err error)
}

// Keep returns the view as one that a service keeps.
func Keep[R any](view *projection.View[R]) View { return kept[R]{view} }

type kept[R any] struct{ *projection.View[R] }

func (k kept[R]) Into(sink projection.Sink) projection.Task { return projection.Into(sink, k.View) }

func (k kept[R]) Check(ctx context.Context, log []eventstore.Recorded, sink projection.Readable) (int, error) {
	fresh, err := k.Fold(api.Events, log)
	if err != nil {
		return 0, err
	}
	rows := len(fresh)
	var wrong []error
	for row, err := range projection.NewReader(sink, k.View).All(ctx, projection.ListQuery{Limit: 1000}) {
		if err != nil {
			return 0, errors.Join(append(wrong, err)...)
		}
		key := reflect.ValueOf(row).Field(0).String() // the field that is tagged as the key
		if want, ok := fresh[key]; !ok || !reflect.DeepEqual(row, want) {
			wrong = append(wrong, fmt.Errorf("view %s: the row is %+v, a fresh fold says %+v", k.Name(), row, want))
		}
		delete(fresh, key)
	}
	for _, key := range slices.Sorted(maps.Keys(fresh)) {
		wrong = append(wrong, fmt.Errorf("view %s has no row %q, a fresh fold has", k.Name(), key))
	}
	return rows, errors.Join(wrong...)
}
