package codec_test

import (
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// A customer's name was stored in one field. New events have two; old ones are upcast
// when they are read, and stay in the log as they are.
func ExampleUpcast() {
	type registeredV1 struct{ Name string }
	type Registered struct{ First, Last string }

	events, err := codec.NewSet(
		codec.Event[Registered]("customer.registered",
			codec.Version(2),
			codec.Upcast(1, func(old registeredV1) (Registered, error) {
				var r Registered
				_, err := fmt.Sscan(old.Name, &r.First, &r.Last)
				return r, err
			})))
	if err != nil {
		fmt.Println(err)
		return
	}

	stored := eventstore.Recorded{EventData: eventstore.EventData{
		Type: "customer.registered", SchemaVersion: 1, Data: []byte(`{"Name":"Ada Lovelace"}`),
	}}
	decoded, err := events.Decode(stored)
	fmt.Printf("%+v %v\n", decoded[0], err)
	// Output: {First:Ada Last:Lovelace} <nil>
}

// A stored event that the program does not know is an error, never skipped.
func ExampleSet_Decode() {
	type Enrolled struct{ Course, Student string }
	events, _ := codec.NewSet(codec.Event[Enrolled]("student.enrolled"))

	decoded, err := events.Decode(eventstore.Recorded{
		Stream: "student-ada", Version: 1, Position: 7,
		EventData: eventstore.EventData{Type: "student.enrolled", SchemaVersion: 1, Data: []byte(`{"Course":"go","Student":"ada"}`)},
	})
	for _, event := range decoded { // an upcast may make several of one, or none
		fmt.Println(event.(Enrolled).Course, event.(Enrolled).Student, err)
	}

	_, err = events.Decode(eventstore.Recorded{
		Stream: "student-ada", Version: 2, Position: 8,
		EventData: eventstore.EventData{Type: "student.graduated", SchemaVersion: 1, Data: []byte(`{}`)},
	})
	fmt.Println(errors.Is(err, codec.ErrUnknownType))
	fmt.Println(err)
	// Output:
	// go ada <nil>
	// true
	// event at position 8 of student-ada has type "student.graduated", which this build does not know: register it with codec.Event[T]("student.graduated"), or deploy the newer version that wrote it
}

// The mistakes in a set are reported when it is made, all of them at once.
func ExampleNewSet() {
	type Enrolled struct{ Course, Student string }
	type Left struct{ Course, Student string }
	_, err := codec.NewSet(
		codec.Event[Enrolled]("student.enrolled", codec.Version(3)), // what were 1 and 2?
		codec.Event[Left]("student.left"),
		codec.Event[Left]("student.gone"))
	fmt.Println(err)
	// Output:
	// event "student.enrolled" of type codec_test.Enrolled: no upcast from version 1 to 2; add codec.Upcast(1, …)
	// event "student.enrolled" of type codec_test.Enrolled: no upcast from version 2 to 3; add codec.Upcast(2, …)
	// type codec_test.Left has two event names: "student.left" and "student.gone"
}

func ExampleTags() {
	type Enrolled struct{ Course, Student string }

	events, _ := codec.NewSet(codec.Event[Enrolled]("student.enrolled",
		codec.Tags(func(e Enrolled) []eventstore.Tag {
			return []eventstore.Tag{eventstore.NewTag("course", e.Course), eventstore.NewTag("student", e.Student)}
		})))

	data, err := events.Encode(Enrolled{Course: "go", Student: "ada"})
	fmt.Println(data.Type, data.Tags, string(data.Data), err)
	// Output: student.enrolled [course:go student:ada] {"Course":"go","Student":"ada"} <nil>
}

func ExampleUpcastEach() {
	type soldV1 struct {
		Item  string
		Cents int64 // as paid
	}
	type Sold struct{ Item string }
	type Paid struct{ Cents int64 }

	events, err := codec.NewSet(
		codec.Event[Paid]("till.paid"),
		codec.Event[Sold]("till.sold",
			codec.Version(2),
			codec.UpcastEach(1, func(old soldV1) ([]any, error) {
				return []any{Sold{old.Item}, Paid{old.Cents}}, nil
			})))
	if err != nil {
		fmt.Println(err)
		return
	}

	decoded, err := events.Decode(stored("till.sold", 1, `{"Item":"cup","Cents":250}`))
	fmt.Printf("%+v %v\n", decoded, err)
	fmt.Println(events.StoredAs("till.paid"))
	// Output:
	// [{Item:cup} {Cents:250}] <nil>
	// [till.paid till.sold]
}

// An event type that nobody needs any more is dropped. Its events stay in the log.
func ExampleRetired() {
	type Sold struct{ Item string }
	events, _ := codec.NewSet(
		codec.Event[Sold]("till.sold"),
		codec.Retired("till.opened", codec.Drop(1)))

	decoded, err := events.Decode(stored("till.opened", 1, `{"At":"09:00"}`))
	fmt.Println(len(decoded), err)
	// Output: 0 <nil>
}

// A field that was taken out of a type is still in the log.
func ExampleSet_Losses() {
	type Sold struct{ Item string }
	events, _ := codec.NewSet(codec.Event[Sold]("till.sold"))

	losses, err := events.Losses(stored("till.sold", 1, `{"Item":"cup","Discount":5}`))
	fmt.Println(losses, err)
	// Output: [Discount: the type does not take it (5)] <nil>
}

// stored is an event as a store gives it back.
func stored(name string, version int, payload string) eventstore.Recorded {
	return eventstore.Recorded{
		Stream: "till-1", Version: 1, Position: 1,
		EventData: eventstore.EventData{Type: name, SchemaVersion: version, Data: []byte(payload)},
	}
}
