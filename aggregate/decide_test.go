package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Students enrol in a course that has room for so many. No stream holds both facts.

type Enrolled struct{ Course, Student string }

var enrolments = func() *codec.Set {
	set, err := codec.NewSet(codec.Event[Enrolled]("student.enrolled", codec.Tags(func(e Enrolled) []eventstore.Tag {
		return []eventstore.Tag{eventstore.NewTag("course", e.Course), eventstore.NewTag("student", e.Student)}
	})))
	if err != nil {
		panic(err)
	}
	return set
}()

var ErrFull = errors.New("the course is full")

func inCourse(course string) eventstore.Query {
	return eventstore.Query{Items: []eventstore.QueryItem{{
		Types: []string{"student.enrolled"}, Tags: []eventstore.Tag{eventstore.NewTag("course", course)},
	}}}
}

func countEnrolled(count *int, _ any, _ eventstore.Recorded) { *count++ }

// enrol lets the student in if fewer than room are in the course.
func enrol(student string, room int) func(int) ([]aggregate.Write, error) {
	return func(enrolled int) ([]aggregate.Write, error) {
		if enrolled >= room {
			return nil, ErrFull
		}
		return []aggregate.Write{{
			Stream: eventstore.NewStreamID("student", student),
			Events: []any{Enrolled{Course: "go", Student: student}},
		}}, nil
	}
}

func enrolled(t testing.TB, store eventstore.LogReader) int {
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: inCourse("go")})
	require.NoError(t, err)
	count := 0
	for _, err := range read.Events() {
		require.NoError(t, err)
		count++
	}
	return count
}

// theLastPlaceGoesToOne: 16 students race for it.
func theLastPlaceGoesToOne(t testing.TB, store eventstore.Store) error {
	var winners, full atomic.Int32
	var failure atomic.Pointer[error]
	var racers sync.WaitGroup
	start := make(chan struct{})
	for n := range 16 {
		racers.Go(func() {
			<-start
			_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol(fmt.Sprint(n), 1))
			switch {
			case err == nil:
				winners.Add(1)
			case errors.Is(err, ErrFull):
				full.Add(1)
			default:
				failure.Store(&err)
			}
		})
	}
	close(start)
	racers.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	if winners.Load() != 1 || full.Load() != 15 || enrolled(t, store) != 1 {
		return fmt.Errorf("%d winners, %d refused, %d enrolled", winners.Load(), full.Load(), enrolled(t, store))
	}
	return nil
}

func TestTheLastPlaceGoesToOne(t *testing.T) {
	for range 20 {
		require.NoError(t, theLastPlaceGoesToOne(t, memory.NewStore()))
	}
}

func TestPlantedBugAnAppendWithoutItsConditionIsFound(t *testing.T) {
	var all sync.WaitGroup // every racer has read before any may append
	all.Add(16)
	twin := hooked{Store: memory.NewStore(), append: func(next eventstore.Appender, ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
		all.Done()
		all.Wait()
		r.Condition = nil
		return next.Append(ctx, r)
	}}
	require.ErrorContains(t, theLastPlaceGoesToOne(t, twin), "16 winners")
}

func TestDecideDecidesAgainWhenTheQueryHasNewEvents(t *testing.T) {
	store := memory.NewStore()
	var seen []int
	receipt, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled,
		func(count int) ([]aggregate.Write, error) {
			if seen = append(seen, count); len(seen) == 1 {
				_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol("bob", 9))
				require.NoError(t, err)
			}
			return enrol("ada", 9)(count)
		}, aggregate.Metadata(eventstore.Metadata{"actor": "ada"}))
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1}, seen)
	assert.Equal(t, map[eventstore.StreamID]eventstore.Version{"student-ada": 1}, receipt.Versions)
}

func TestDecideDecidesAgainOnAVersionConflict(t *testing.T) {
	store := memory.NewStore()
	tries := 0
	_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled,
		func(int) ([]aggregate.Write, error) {
			tries++
			writes, _ := enrol("ada", 9)(0)
			writes[0].Expected = eventstore.Exactly(eventstore.Version(2 - tries))
			return writes, nil
		})
	require.NoError(t, err)
	assert.Equal(t, 2, tries)
}

func TestDecideFoldsOnlyWhatTheQuerySelects(t *testing.T) {
	store := memory.NewStore()
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "else-1", Events: []eventstore.EventData{{Type: "else"}},
	}}})
	require.NoError(t, err)
	_, err = aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol("ada", 1))
	require.NoError(t, err)

	_, err = aggregate.Decide(t.Context(), store, enrolments, eventstore.Query{}, countEnrolled, enrol("bob", 9))
	require.ErrorIs(t, err, codec.ErrUnknownType)
	assert.Equal(t, 1, enrolled(t, store))
}

func TestDecidePassesOverTheStoresOwnEvents(t *testing.T) {
	store := memory.NewStore()
	_, err := aggregate.Decide(t.Context(), store, enrolments, eventstore.Query{}, countEnrolled, enrol("ada", 1))
	require.NoError(t, err)
	_, err = store.DeleteStream(t.Context(), "student-ada", eventstore.Any)
	require.NoError(t, err)
	_, err = aggregate.Decide(t.Context(), store, enrolments, eventstore.Query{}, countEnrolled, enrol("bob", 2))
	require.NoError(t, err)
}

func TestDecideUnderACommandID(t *testing.T) {
	store := memory.NewStore()
	try := func(query eventstore.Query, room int) (eventstore.Receipt, error) {
		return aggregate.Decide(t.Context(), store, enrolments, query, countEnrolled, enrol("ada", room), aggregate.CommandID("e"))
	}
	both := eventstore.Tagged("course:go", "student:ada")
	sameBoth := eventstore.Tagged("student:ada", "course:go")

	first, err := try(both, 1)
	require.NoError(t, err)
	again, err := try(sameBoth, 1)
	require.NoError(t, err, "the course is full by now, of the very same command")
	assert.True(t, again.Repeated)
	assert.Equal(t, first.Token, again.Token)

	_, err = try(inCourse("go"), 1)
	require.ErrorIs(t, err, ErrFull, "another query is another boundary")
}

func TestADecideWithoutEventsIsRememberedUnderAnID(t *testing.T) {
	store := memory.NewStore()
	stay := func(int) ([]aggregate.Write, error) { return nil, nil }
	_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, stay, aggregate.CommandID("e"))
	require.NoError(t, err)
	receipt, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol("ada", 1), aggregate.CommandID("e"))
	require.NoError(t, err)
	assert.True(t, receipt.Repeated)
	assert.Zero(t, enrolled(t, store))

	_, err = aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, stay)
	require.NoError(t, err, "without an id there is nothing to append")
}

func TestDecideErrorsSayOverWhat(t *testing.T) {
	store := memory.NewStore()
	_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol("ada", 0))
	require.EqualError(t, err, "decide over student.enrolled tagged course:go: the course is full")
	_, err = aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol("ada", 1), aggregate.ExpectVersion(1))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, func(int) ([]aggregate.Write, error) {
		return []aggregate.Write{{Stream: "student-ada", Events: []any{Opened{}}}}, nil
	})
	require.ErrorContains(t, err, "student-ada: encode event: type aggregate_test.Opened is not registered")
}

// An event appended while the others are being folded is not among them, so it must be
// refused: the condition starts where the read ends, not at the head after it.
func TestDecideSeesWhatIsAppendedWhileItFolds(t *testing.T) {
	store := memory.NewStore()
	let := func(student string) {
		_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, enrol(student, 9))
		require.NoError(t, err)
	}
	let("ada")
	slow := func(count *int, event any, r eventstore.Recorded) {
		if countEnrolled(count, event, r); enrolled(t, store) == 1 {
			let("bob")
		}
	}
	_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), slow, enrol("eve", 2))
	require.ErrorIs(t, err, ErrFull)
	assert.Equal(t, 2, enrolled(t, store))
}

func TestARefusalIsFoundInTheError(t *testing.T) {
	store, refusal := memory.NewStore(), errors.New("no")
	refuse := func(int) ([]aggregate.Write, error) { return nil, refusal }
	_, err := aggregate.Decide(t.Context(), store, enrolments, inCourse("go"), countEnrolled, refuse)
	var refused *aggregate.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, refusal, refused.Err)
	require.EqualError(t, err, "decide over student.enrolled tagged course:go: no", "it reads as the decision's own")

	accounts := aggregate.NewRepository(store, Accounts)
	_, err = accounts.Execute(t.Context(), "1", func(Account) ([]Event, error) { return nil, refusal })
	require.ErrorAs(t, err, &refused)
	_, err = accounts.Execute(t.Context(), "", Deposit(5))
	require.NotErrorAs(t, err, &refused, "a bad id is no refusal")
}
