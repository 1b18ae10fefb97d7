package enrolment

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// MaxCourses is how many courses a student may be in at a time.
const MaxCourses = 3

// Why a student is not let in.
var (
	ErrNoCourse = errors.New("there is no such course")
	ErrFull     = errors.New("the course is full")
	ErrTooMany  = fmt.Errorf("the student is in %d courses already", MaxCourses)
)

// Enrol lets the student into the course, if it has a place left and the student has time. A student
// who is in it already stays.
func Enrol(ctx context.Context, store aggregate.LogStore, course CourseID, student StudentID, options ...aggregate.ExecuteOption) (eventstore.Receipt, error) {
	// Everything that the decision depends on, and nothing else: of two students who want the last
	// place one is refused, and two who want different courses do not meet.
	boundary := eventstore.Tagged(ofCourse.Tag(course)).Or(eventstore.Tagged(ofStudent.Tag(student)))
	seen := func(s *seats, event any, _ eventstore.Recorded) { s.apply(event, course, student) }
	return aggregate.Decide(ctx, store, Events, boundary, seen, func(s seats) ([]aggregate.Write, error) {
		switch {
		case s.in:
			return nil, nil
		case !s.open:
			return nil, ErrNoCourse
		case s.taken >= s.places:
			return nil, ErrFull
		case s.courses >= MaxCourses:
			return nil, ErrTooMany
		}
		return write(student, Enrolled{course, student}), nil
	}, options...)
}

// Leave takes the student out of the course. Who is not in it is not missed.
func Leave(ctx context.Context, store aggregate.LogStore, course CourseID, student StudentID, options ...aggregate.ExecuteOption) (eventstore.Receipt, error) {
	boundary := eventstore.Tagged(both(course, student)...)
	seen := func(s *seats, event any, _ eventstore.Recorded) { s.apply(event, course, student) }
	return aggregate.Decide(ctx, store, Events, boundary, seen, func(s seats) ([]aggregate.Write, error) {
		if !s.in {
			return nil, nil
		}
		return write(student, Left{course, student}), nil
	}, options...)
}

func write(student StudentID, event any) []aggregate.Write {
	return []aggregate.Write{{Stream: eventstore.NewStreamID("student", string(student)), Events: []any{event}}}
}

// seats is what is known about one course and one student.
type seats struct {
	open          bool
	places, taken int  // of the course
	courses       int  // of the student
	in            bool // this student in this course
}

func (s *seats) apply(event any, course CourseID, student StudentID) {
	switch e := event.(type) {
	case Opened:
		s.open, s.places = true, e.Places
	case Resized:
		s.places = e.Places
	case Enrolled:
		s.moved(e.Course == course, e.Student == student, 1)
	case Left:
		s.moved(e.Course == course, e.Student == student, -1)
	}
}

// moved counts somebody who came (1) or left (-1): it is this course, this student, or both.
func (s *seats) moved(here, mine bool, by int) {
	if here {
		s.taken += by
	}
	if mine {
		s.courses += by
	}
	if here && mine {
		s.in = by > 0
	}
}
