package codec_test

import (
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
