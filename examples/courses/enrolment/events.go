// Package enrolment lets students into courses. A course has so many places, a student may be in
// so many courses, and no stream holds both facts: an enrolment is decided over the events that
// carry the course's tag or the student's.
package enrolment

import (
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// CourseID and StudentID are different types, so that one cannot stand where the other belongs.
type (
	CourseID  string
	StudentID string
)

// The tags by which the events of a course and of a student are found.
const (
	ofCourse  eventstore.TagKey[CourseID]  = "course"
	ofStudent eventstore.TagKey[StudentID] = "student"
)

// What happens to courses and students.
type (
	Opened struct {
		Course CourseID
		Places int
	}
	Resized struct {
		Course CourseID
		Places int
	}
	Enrolled struct {
		Course  CourseID
		Student StudentID
	}
	Left struct {
		Course  CourseID
		Student StudentID
	}
)

// Events are the event types of this package.
var Events = mustSet(
	codec.Event[Opened]("course.opened", codec.Tags(func(e Opened) []eventstore.Tag { return []eventstore.Tag{ofCourse.Tag(e.Course)} })),
	codec.Event[Resized]("course.resized", codec.Tags(func(e Resized) []eventstore.Tag { return []eventstore.Tag{ofCourse.Tag(e.Course)} })),
	codec.Event[Enrolled]("student.enrolled", codec.Tags(func(e Enrolled) []eventstore.Tag { return both(e.Course, e.Student) })),
	codec.Event[Left]("student.left", codec.Tags(func(e Left) []eventstore.Tag { return both(e.Course, e.Student) })))

func both(course CourseID, student StudentID) []eventstore.Tag {
	return []eventstore.Tag{ofCourse.Tag(course), ofStudent.Tag(student)}
}

func mustSet(events ...codec.Definition) *codec.Set {
	set, err := codec.NewSet(events...)
	if err != nil {
		panic(err) // a mistake in the lines above
	}
	return set
}
