package enrolment

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// ErrSmaller: more students are in the course than it shall have places.
var ErrSmaller = errors.New("more students than that are in the course")

// Open opens a course with so many places; of one that is open it changes the places. It never has
// fewer places than students.
func Open(ctx context.Context, store aggregate.LogStore, course CourseID, places int, options ...aggregate.ExecuteOption) (eventstore.Receipt, error) {
	seen := func(s *seats, event any, _ eventstore.Recorded) { s.apply(event, course, "") }
	return aggregate.Decide(ctx, store, Events, eventstore.Tagged(ofCourse.Tag(course)), seen, func(s seats) ([]aggregate.Write, error) {
		stream := eventstore.NewStreamID("course", string(course))
		switch {
		case !s.open:
			return []aggregate.Write{{Stream: stream, Events: []any{Opened{course, places}}}}, nil
		case s.taken > places:
			return nil, ErrSmaller
		case s.places == places:
			return nil, nil
		}
		return []aggregate.Write{{Stream: stream, Events: []any{Resized{course, places}}}}, nil
	}, options...)
}
