package saga_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// A trip is a flight and a hotel, or neither.
type (
	TripWanted  struct{ Trip, City string }
	BookFlight  struct{ Trip, City string }
	FlightFreed struct{ Trip string }
	BookHotel   struct{ Trip, City string }

	Trip struct{ ID, City string }
)

var wishes = aggregate.Define("wish", func(TripWanted, *Trip) {}, codec.Event[TripWanted]("trip.wanted"))

var trips = saga.Define("trip", saga.Definition[Trip]{
	Events: []*codec.Set{wishes.Events()},
	On: []saga.Rule[Trip]{
		saga.Begin(func(e TripWanted, _ eventstore.Recorded) string { return e.Trip },
			func(t *Trip, e TripWanted, _ eventstore.Recorded) { *t = Trip{e.Trip, e.City} }),
	},
	Steps: []saga.Step[Trip]{
		{
			Name: "flight",
			Do:   saga.Send("flight.book", func(t Trip) BookFlight { return BookFlight{t.ID, t.City} }),
			Undo: saga.Send("flight.free", func(t Trip) FlightFreed { return FlightFreed{t.ID} }),
		},
		{
			Name:    "hotel",
			Do:      saga.Send("hotel.book", func(t Trip) BookHotel { return BookHotel{t.ID, t.City} }),
			Timeout: time.Hour,
		},
	},
})

// wish appends the event that a trip begins with.
func wish(ctx context.Context, store aggregate.Store, trip, city string) error {
	_, err := aggregate.NewRepository(store, wishes).Execute(ctx, trip, func(Trip) ([]TripWanted, error) { return []TripWanted{{trip, city}}, nil })
	return err
}

// agency handles the commands. Its handlers would execute decisions on aggregates, under the
// command's id; a refusal is that of the decision.
func agency() *command.Bus {
	bus := command.NewBus()
	command.Handle(bus, "flight.book", func(context.Context, BookFlight) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	command.Handle(bus, "flight.free", func(context.Context, FlightFreed) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	command.Handle(bus, "hotel.book", func(_ context.Context, c BookHotel) (eventstore.Receipt, error) {
		if c.City == "Atlantis" {
			return eventstore.Receipt{}, saga.Refused(errors.New("no such city"))
		}
		return eventstore.Receipt{}, nil
	})
	return bus
}

// untilEnded waits for the instance and returns what has happened to it.
func untilEnded(ctx context.Context, store eventstore.Store, trip string) ([]saga.Entry, error) {
	for {
		head, err := store.Head(ctx)
		if err != nil {
			return nil, err
		}
		entries, err := trips.Timeline(ctx, store, trip)
		if err != nil || count(entries, "saga.ended") > 0 {
			return entries, err
		}
		if err := eventstore.WaitAppended(ctx, store, head.Position); err != nil {
			return entries, err
		}
	}
}

func ExampleDefine() {
	ctx, stop := context.WithCancel(context.Background())
	store, sink := memory.NewStore(), memory.NewSink()
	worker := saga.Worker{Store: store, Sink: sink, Sagas: []saga.Saga{trips}, Dispatcher: saga.ToBus(agency())}
	ended := make(chan error)
	go func() { ended <- worker.Run(ctx) }()

	if err := wish(ctx, store, "t1", "Atlantis"); err != nil {
		fmt.Println(err)
	}
	timeline, err := untilEnded(ctx, store, "t1")
	for _, entry := range timeline {
		if entry.Timer == "" {
			fmt.Println(entry)
		}
	}
	stop()
	fmt.Println(err, <-ended)
	// Output:
	// observed trip.wanted of wish-t1
	// step started: step flight
	// command requested: step flight, flight.book {"Trip":"t1","City":"Atlantis"}
	// command done: step flight, flight.book
	// step completed: step flight
	// step started: step hotel
	// command requested: step hotel, hotel.book {"Trip":"t1","City":"Atlantis"}
	// command refused: step hotel, hotel.book: dispatch hotel.book: no such city
	// step failed: step hotel: dispatch hotel.book: no such city
	// compensating: step hotel
	// command requested: to undo step flight, flight.free {"Trip":"t1"}
	// command done: to undo step flight, flight.free
	// step undone: step flight
	// ended: compensated
	// <nil> <nil>
}

// An event of one service becomes a command to another.
func ExampleReact() {
	welcome := saga.React("welcome", saga.ReactOptions{Events: []*codec.Set{wishes.Events()}},
		func(_ context.Context, e TripWanted, _ eventstore.Recorded) ([]saga.Request, error) {
			return []saga.Request{{Name: "mail.send", Payload: map[string]string{"about": e.City}}}, nil
		})

	ctx, stop := context.WithCancel(context.Background())
	store := memory.NewStore()
	sent := make(chan saga.Command, 1)
	worker := saga.Worker{
		Store: store, Sink: memory.NewSink(), Sagas: []saga.Saga{welcome},
		Dispatcher: saga.DispatcherFunc(func(_ context.Context, c saga.Command) error { sent <- c; return nil }),
	}
	ended := make(chan error)
	go func() { ended <- worker.Run(ctx) }()
	err := wish(ctx, store, "t1", "Lisbon")
	c := <-sent
	stop()
	fmt.Println(c.Name, string(c.Payload), err, <-ended)
	// Output: mail.send {"about":"Lisbon"} <nil> <nil>
}

// Before a deploy: would the new program have decided as the old one did?
func ExampleType_Check() {
	report, err := trips.Check(context.Background(), memory.NewStore())
	fmt.Println(report.Live, len(report.Diverged), err)
	// Output: 0 0 <nil>
}

// A caller who wants to know how it ended. The store wakes it.
func ExampleType_Await() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.NewStore()
	worker := saga.Worker{
		Store: store, Sink: memory.NewSink(), Sagas: []saga.Saga{trips},
		Dispatcher: saga.DispatcherFunc(func(context.Context, saga.Command) error { return nil }),
	}
	ended := make(chan error)
	go func() { ended <- worker.Run(ctx) }()
	wished := wish(ctx, store, "t1", "Lisbon")
	trip, err := trips.Await(ctx, store, "t1")
	stop()
	fmt.Println(trip.Phase, wished, err, <-ended)
	// Output: completed <nil> <nil> <nil>
}
