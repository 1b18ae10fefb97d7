package catalog_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/catalog"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// A shop with every kind of part that a catalog has.
type (
	Place  struct{ Lines []Line }
	Cancel struct {
		Why string `json:"why,omitempty"`
	}
	Line struct {
		SKU      string `json:"sku"`
		Quantity uint16 `json:"quantity"`
	}

	Placed struct {
		At    time.Time `json:"at"`
		Lines []Line    `json:"lines"`
		Total Euro      `json:"total"`
	}
	Cancelled struct {
		Why string `json:"why"`
	}
	Paid   struct{ Cents int64 }
	Opaque struct{}
	Euro   struct{ cents int64 }

	Order   struct{}
	Payment struct{}

	Summary struct {
		ID    string `leftfold:"key" json:"id"`
		Lines int64  `json:"lines"`
		Paid  bool   `json:"paid"`
	}
	GetOrder   struct{ ID string }
	ListOrders struct{ After string }
)

func (e Euro) MarshalJSON() ([]byte, error)  { return json.Marshal(e.cents) }
func (e *Euro) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &e.cents) }

// binary is a format that is not JSON.
type binary struct{}

func (binary) Marshal(any) ([]byte, error) { return []byte{1}, nil }
func (binary) Unmarshal([]byte, any) error { return nil }
func (binary) ContentType() string         { return "application/protobuf" }

var (
	orders = aggregate.Define("order", func(any, *Order) {},
		codec.Event[Placed]("order.placed", codec.Version(2), codec.Upcast(1, func(old Cancelled) (Placed, error) { return Placed{}, nil })),
		codec.Event[Cancelled]("order.cancelled"))
	payments = aggregate.Define("payment", func(any, *Payment) {}, codec.Event[Paid]("order.paid"))
	others   = set(codec.Event[Opaque]("Lager/bewegt", codec.In(binary{})))

	summaries = projection.NewView("order_summaries", projection.ViewOptions{Version: 3},
		projection.When(func(s *Summary, e Placed, _ eventstore.Recorded) { s.Lines = int64(len(e.Lines)) }),
		projection.When(func(s *Summary, _ Paid, _ eventstore.Recorded) { s.Paid = true }))
	mails = projection.NewHandler("mails", projection.HandlerOptions{Version: 1, Query: eventstore.Types("order.cancelled")},
		func(context.Context, *memory.Tx, eventstore.Recorded) error { return nil })
	audit = projection.NewHandler("audit", projection.HandlerOptions{Version: 1},
		func(context.Context, *memory.Tx, eventstore.Recorded) error { return nil })
)

func set(definitions ...codec.Definition) *codec.Set {
	s, err := codec.NewSet(definitions...)
	if err != nil {
		panic(err)
	}
	return s
}

func shop() catalog.Catalog {
	commands := command.NewBus()
	command.Handle(commands, "order.place", func(context.Context, Place) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	command.Handle(commands, "order.cancel", func(context.Context, Cancel) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	queries := query.NewBus()
	query.Handle(queries, "order.get", func(context.Context, GetOrder) (Summary, error) { return Summary{}, nil }, query.Reads("order_summaries"))
	query.Handle(queries, "order.list", func(context.Context, ListOrders) ([]Summary, error) { return nil, nil }, query.Reads("order_summaries", "elsewhere"))
	return catalog.Catalog{
		Title: "Shop", Version: "1.2",
		Commands: commands.Commands(), Queries: queries.Queries(),
		Aggregates: []catalog.Aggregate{orders, payments}, Events: others,
		Projections: []catalog.Projection{summaries, mails, audit},
		Schemas:     map[reflect.Type]json.RawMessage{reflect.TypeFor[Euro](): json.RawMessage(`{"type":"integer","description":"cents"}`)},
	}
}

// golden compares with a file of testdata. After a wanted change:
//
//	LEFTFOLD_WRITE_GOLDEN=1 go test ./catalog
func golden(t *testing.T, file string, text []byte) {
	file = filepath.Join("testdata", file)
	if os.Getenv("LEFTFOLD_WRITE_GOLDEN") == "1" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o750))
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text), "LEFTFOLD_WRITE_GOLDEN=1 writes it anew")
}
