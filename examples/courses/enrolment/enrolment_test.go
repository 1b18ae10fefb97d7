package enrolment_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/courses/enrolment"
)

var stores = map[string]func(t *testing.T) eventstore.Store{
	"memory": func(*testing.T) eventstore.Store { return memory.NewStore() },
	"SQLite": func(t *testing.T) eventstore.Store {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "courses.db"), sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		return store
	},
	"Postgres": func(t *testing.T) eventstore.Store { return postgrestest.Open(t) },
}

func TestSixtyFourStudentsNeverOverbookACourse(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			_, err := enrolment.Open(t.Context(), store, "go", 10)
			require.NoError(t, err)
			enrolled, refused := race(t, store, enrolment.ErrFull, 64, func(n int) (enrolment.CourseID, enrolment.StudentID) {
				return "go", student(n)
			})
			require.Equal(t, []int{10, 54}, []int{enrolled, refused})
			require.Equal(t, 10, in(t, store, "course:go"))
		})
	}
}

// Sixteen students want each of four courses at once, and may be in three.
func TestSixtyFourEnrolmentsNeverOverbookAStudent(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			for n := range 4 {
				_, err := enrolment.Open(t.Context(), store, course(n), 16)
				require.NoError(t, err)
			}
			enrolled, refused := race(t, store, enrolment.ErrTooMany, 64, func(n int) (enrolment.CourseID, enrolment.StudentID) {
				return course(n % 4), student(n / 4)
			})
			require.Equal(t, []int{48, 16}, []int{enrolled, refused})
			for n := range 16 {
				require.Equal(t, enrolment.MaxCourses, in(t, store, eventstore.NewTag("student", string(student(n)))))
			}
		})
	}
}

func TestAPlaceThatIsLeftIsFree(t *testing.T) {
	ctx, store := t.Context(), memory.NewStore()
	_, err := enrolment.Enrol(ctx, store, "go", "ada")
	require.ErrorIs(t, err, enrolment.ErrNoCourse)
	_, err = enrolment.Open(ctx, store, "go", 1)
	require.NoError(t, err)
	for range 2 { // who is in stays
		_, err = enrolment.Enrol(ctx, store, "go", "ada")
		require.NoError(t, err)
	}
	_, err = enrolment.Enrol(ctx, store, "go", "bob")
	require.ErrorIs(t, err, enrolment.ErrFull)
	_, err = enrolment.Leave(ctx, store, "go", "bob")
	require.NoError(t, err)
	_, err = enrolment.Leave(ctx, store, "go", "ada")
	require.NoError(t, err)
	_, err = enrolment.Enrol(ctx, store, "go", "bob")
	require.NoError(t, err)
	_, err = enrolment.Open(ctx, store, "go", 0)
	require.ErrorIs(t, err, enrolment.ErrSmaller)
	_, err = enrolment.Open(ctx, store, "go", 2)
	require.NoError(t, err)
	_, err = enrolment.Enrol(ctx, store, "go", "ada")
	require.NoError(t, err)
	require.Equal(t, 2, in(t, store, "course:go"))
}

// race makes so many enrolments at once and counts those that are made and those that are refused.
// One that keeps meeting others is tried again, as its student would.
func race(t *testing.T, store eventstore.Store, refusal error, enrolments int, nth func(n int) (enrolment.CourseID, enrolment.StudentID)) (enrolled, refused int) {
	t.Helper()
	errs := make([]error, enrolments)
	start := make(chan struct{})
	var all sync.WaitGroup
	for n := range enrolments {
		all.Go(func() {
			<-start
			course, student := nth(n)
			errs[n] = eventstore.ErrConditionFailed
			for errors.Is(errs[n], eventstore.ErrConditionFailed) {
				_, errs[n] = enrolment.Enrol(t.Context(), store, course, student)
			}
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			enrolled++
		case errors.Is(err, refusal):
			refused++
		default:
			require.NoError(t, err)
		}
	}
	return enrolled, refused
}

// in counts who is in, without the code under test.
func in(t *testing.T, store eventstore.Store, tag eventstore.Tag) (count int) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Tagged(tag)})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		switch e.Type {
		case "student.enrolled":
			count++
		case "student.left":
			count--
		}
	}
	return count
}

func course(n int) enrolment.CourseID   { return enrolment.CourseID(fmt.Sprint("course-", n)) }
func student(n int) enrolment.StudentID { return enrolment.StudentID(fmt.Sprint("student-", n)) }
