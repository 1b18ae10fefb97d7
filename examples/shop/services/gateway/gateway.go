// Package gateway is the door of the shop. It takes orders in, and answers how they stand, in two ways:
// by asking the services when it is asked (API composition), and from a read model of its own that
// their events keep up to date (CQRS). The first is as fresh as the services, and lacks what a service
// that is down would say; the second is there whatever is down, and a moment behind.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// GetDetail asks for all that is known about an order, from the composition, the view, or both.
type GetDetail struct {
	Order string `json:"order"`
	From  string `json:"from"` // composition, view or both; empty: composition
}

// Validate says what from may be.
func (q GetDetail) validate() error {
	switch q.From {
	case "", "composition", "view", "both":
		return nil
	}
	return &httpapi.Problem{Type: httpapi.TypeMalformed, Status: http.StatusBadRequest, Detail: "from is composition, view or both"}
}

// Answer is what the gateway knows, from one or both.
type Answer struct {
	Composition *Detail         `json:"composition,omitempty"`
	Missing     []query.Missing `json:"missing,omitempty"` // services that did not answer
	View        *Detail         `json:"view,omitempty"`
	// Differences are, of both, what the view does not have yet, or the composition lacks.
	Differences []string `json:"differences,omitempty"`
}

// answerTakes is how long a service may take to say what it knows.
const answerTakes = 2 * time.Second

// services asks them.
type services struct{ order, inventory, payment, shipping *httpapi.Client }

// Service is the gateway, with the view in a version.
func Service(found discovery.Resolver, version int) host.Service {
	details := Details(version)
	of := func(name string) *httpapi.Client { return host.Client(name, found) }
	s := services{of("order"), of("inventory"), of("payment"), of("shipping")}
	return host.Service{
		Name:   "gateway",
		Events: api.Set(),
		Views:  []host.View{host.Keep(details)},
		Commands: func(bus *command.Bus, _ aggregate.Store, _ *aggregate.Snapshots) {
			command.Handle(bus, "order.place", s.place)
			command.Handle(bus, "stock.receive", s.receive)
		},
		Queries: func(bus *query.Bus, from projection.Readable) {
			rows := projection.NewReader(from, details)
			query.Handle(bus, "order.detail", func(ctx context.Context, q GetDetail) (Answer, error) { return s.detail(ctx, q, rows) })
			query.Handle(bus, "order.totals", func(ctx context.Context, q api.GetTotals) (any, error) {
				return httpapi.AskRemote[any](ctx, s.order, "order.totals", q)
			})
		},
		Routes: routes,
	}
}

// place hands an order on, under the key that it came with: a repeat is one there.
func (s services) place(ctx context.Context, c api.Place) (eventstore.Receipt, error) {
	info, _ := command.InfoFrom(ctx)
	if info.ID == "" {
		info.ID = "order " + c.ID
	}
	return s.order.Dispatch(ctx, "order.place", c, info.ID)
}

func (s services) receive(ctx context.Context, c api.Receive) (eventstore.Receipt, error) {
	info, _ := command.InfoFrom(ctx)
	if info.ID == "" {
		return eventstore.Receipt{}, fmt.Errorf("%w: send an Idempotency-Key with a delivery", command.ErrInvalidCommand)
	}
	return s.inventory.Dispatch(ctx, "stock.receive", c, info.ID)
}

func (s services) detail(ctx context.Context, q GetDetail, rows *projection.Reader[Detail]) (answer Answer, err error) {
	if err := q.validate(); err != nil {
		return answer, err
	}
	if q.From != "view" {
		if answer.Composition, answer.Missing, err = s.compose(ctx, q.Order); err != nil {
			return answer, err
		}
	}
	if q.From == "view" || q.From == "both" {
		row, err := rows.Get(ctx, q.Order)
		if err != nil && !(q.From == "both" && errors.Is(err, projection.ErrNotFound)) {
			return answer, err
		}
		answer.View = &row
	}
	if q.From == "both" {
		answer.Differences, err = differences(*answer.View, *answer.Composition)
	}
	return answer, err
}

// compose asks the four services at the same time. Without the order there is no answer; without the
// others there is one that says so.
func (s services) compose(ctx context.Context, order string) (*Detail, []query.Missing, error) {
	type said struct {
		Customer, Country, Status, Reason string
		Pence                             int64
	} //nolint:musttag // read without regard to case
	ask := func(name string, of *httpapi.Client, what string, options ...query.PartOption) *query.PartOf[said] {
		return query.Part(name, func(ctx context.Context) (said, error) {
			answer, err := httpapi.AskRemote[said](ctx, of, what, api.GetOrder{Order: order})
			if remote, ok := errors.AsType[*httpapi.RemoteError](err); ok && remote.Status == http.StatusNotFound && name != "order" {
				return said{}, nil // it has not been asked to do anything yet
			}
			return answer, err
		}, append(options, query.Timeout(answerTakes))...)
	}
	placed := ask("order", s.order, "order.get")
	kept := ask("inventory", s.inventory, "stock.reservation", query.Optional())
	paid := ask("payment", s.payment, "payment.get", query.Optional())
	sent := ask("shipping", s.shipping, "shipment.get", query.Optional())
	missing, err := query.Compose(ctx, placed, kept, paid, sent)
	if err != nil {
		return nil, nil, err
	}
	o, _ := placed.Value()
	stock, _ := kept.Value()
	payment, _ := paid.Value()
	shipment, _ := sent.Value()
	return &Detail{
		Order: order, Customer: o.Customer, Country: o.Country, Pence: o.Pence, Status: o.Status, Reason: o.Reason,
		Stock: stock.Status, Payment: payment.Status, Shipment: shipment.Status,
	}, missing, nil
}

// differences says what the composition has that the view does not, and the other way round.
func differences(view, composition Detail) (all []string, err error) {
	changes, err := aggregate.Diff(view, composition)
	for _, c := range changes {
		all = append(all, c.String())
	}
	return all, err
}
