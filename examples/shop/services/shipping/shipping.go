// Package shipping is the service that sends parcels.
package shipping

import (
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// shipment knows whether anybody has asked for it.
type shipment struct{ Asked bool }

var shipments = aggregate.Define("shipment", func(_ any, s *shipment) { s.Asked = true }, api.OfShipment...)

func send(country string, nobodyGoes bool) aggregate.Decision[shipment, any] {
	return func(s shipment) ([]any, error) {
		switch {
		case s.Asked:
			return nil, nil
		case nobodyGoes:
			return []any{api.ShipmentRefused{Reason: "nobody goes to " + country}}, nil
		}
		return []any{api.Sent{Country: country}}, nil
	}
}

// Row is a shipment in the read model.
type Row struct {
	Order   string `leftfold:"key" json:"order"`
	Status  string `json:"status"` // sent, refused
	Reason  string `json:"reason,omitempty"`
	Applied int64  `json:"-"` // how many events made the row
}

// Shipments are the read model.
var Shipments = projection.NewView("shipments", projection.ViewOptions{Version: 1},
	projection.When(func(r *Row, _ api.Sent, _ eventstore.Recorded) { r.Status, r.Applied = "sent", r.Applied+1 }),
	projection.When(func(r *Row, e api.ShipmentRefused, _ eventstore.Recorded) {
		r.Status, r.Reason, r.Applied = "refused", e.Reason, r.Applied+1
	}))

// Service is the service. It goes to no country that nobodyGoes holds for.
func Service(nobodyGoes func(country string) bool) host.Service {
	return host.Service{
		Name:   "shipping",
		Events: api.Set(api.OfShipment),
		Views:  []host.View{host.Keep(Shipments)},
		Aggregates: func(store aggregate.Store) []cli.Aggregate {
			return []cli.Aggregate{cli.Of(store, shipments)}
		},
		Commands: func(bus *command.Bus, store aggregate.Store, _ *aggregate.Snapshots) {
			r := aggregate.NewRepository(store, shipments)
			command.Handle(bus, "shipment.send", func(ctx context.Context, c api.Send) (eventstore.Receipt, error) {
				return r.Execute(ctx, c.ID, send(c.Country, nobodyGoes(c.Country)))
			})
		},
		Queries: func(bus *query.Bus, from projection.Readable) {
			rows := projection.NewReader(from, Shipments)
			query.Handle(bus, "shipment.get", func(ctx context.Context, q api.GetShipment) (Row, error) {
				return rows.Get(ctx, q.Order)
			}, query.Reads(Shipments.Name()))
		},
	}
}
