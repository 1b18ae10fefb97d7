package otelhooks_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/otelhooks"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The application that is told of.

type Account struct{ Cents int64 }

type Event interface{ apply(a *Account) }

type Deposited struct{ Cents int64 }

func (e Deposited) apply(a *Account) { a.Cents += e.Cents }

var Accounts = aggregate.Define("account", Event.apply, codec.Event[Deposited]("account.deposited"))

type Deposit struct {
	Account string
	Cents   int64
}

var errNothing = errors.New("nothing to deposit")

func commandsOn(store aggregate.Store, middleware ...command.Middleware) *command.Bus {
	accounts := aggregate.NewRepository(store, Accounts)
	bus := command.NewBus(middleware...)
	command.Handle(bus, "account.deposit", func(ctx context.Context, c Deposit) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, func(Account) ([]Event, error) {
			if c.Cents == 0 {
				return nil, errNothing
			}
			return []Event{Deposited{c.Cents}}, nil
		})
	})
	return bus
}

type Balance struct {
	ID    string `leftfold:"key"`
	Cents int64
}

var balances = projection.NewView("balances", projection.ViewOptions{Version: 1},
	projection.When(func(b *Balance, e Deposited, _ eventstore.Recorded) { b.Cents += e.Cents }))

// telemetry keeps what the hooks tell.
type telemetry struct {
	*otelhooks.Hooks

	spans  *tracetest.InMemoryExporter
	reader *metric.ManualReader
	tracer *trace.TracerProvider
}

func listen(t testing.TB, options ...trace.TracerProviderOption) telemetry {
	t.Helper()
	told := telemetry{spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader()}
	told.tracer = trace.NewTracerProvider(append(options, trace.WithSyncer(told.spans))...)
	var err error
	told.Hooks, err = otelhooks.New(otelhooks.Options{
		TracerProvider: told.tracer,
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(told.reader)),
	})
	require.NoError(t, err)
	return told
}

// named returns the spans of a name.
func (o telemetry) named(name string) tracetest.SpanStubs {
	return slices.DeleteFunc(o.spans.GetSpans(), func(s tracetest.SpanStub) bool { return s.Name != name })
}

func (o telemetry) one(t testing.TB, name string) tracetest.SpanStub {
	t.Helper()
	spans := o.named(name)
	require.Len(t, spans, 1, "spans named %q", name)
	return spans[0]
}

// metrics returns what there is to collect, by name.
func (o telemetry) metrics(t testing.TB) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(context.Background(), &all))
	byName := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// counts returns how often a histogram was told something, by its attributes in words.
func counts[N int64 | float64](t testing.TB, m metricdata.Metrics) map[string]uint64 {
	t.Helper()
	histogram, ok := m.Data.(metricdata.Histogram[N])
	require.True(t, ok, "%s is a %T", m.Name, m.Data)
	all := map[string]uint64{}
	for _, point := range histogram.DataPoints {
		all[words(point.Attributes)] = point.Count
	}
	return all
}

// gauge returns the values of a gauge, by its attributes in words.
func gauge[N int64 | float64](t testing.TB, m metricdata.Metrics) map[string]N {
	t.Helper()
	data, ok := m.Data.(metricdata.Gauge[N])
	require.True(t, ok, "%s is a %T", m.Name, m.Data)
	all := map[string]N{}
	for _, point := range data.DataPoints {
		all[words(point.Attributes)] = point.Value
	}
	return all
}

func words(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }

// attributes returns those of a span.
func attributes(span tracetest.SpanStub) map[string]any {
	all := map[string]any{}
	for _, a := range span.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}
