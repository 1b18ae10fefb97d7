// Courses lets 64 students race for ten places, and one student for five courses, on a SQLite file
// in the current directory or on a Postgres database:
//
//	go run ./examples/courses
//	go run ./examples/courses -postgres postgres://localhost/mine
//
// Run it twice: the commands carry ids, so those who got a place keep it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/courses/enrolment"
)

func main() {
	log.SetFlags(0)
	url := flag.String("postgres", "", "the `URL` of a database to use in place of courses.db")
	flag.Parse()
	if err := run(context.Background(), "courses.db", *url); err != nil {
		log.Fatal("courses: ", err)
	}
}

func run(ctx context.Context, path, url string) (err error) {
	store, closing, err := open(ctx, path, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()

	const places, students = 10, 64
	for course, places := range map[enrolment.CourseID]int{"go": places, "sql": students, "maths": students, "music": students, "art": students} {
		if _, err := enrolment.Open(ctx, store, course, places); err != nil {
			return err
		}
	}
	var wishes []wish
	for n := range students {
		wishes = append(wishes, wish{"go", enrolment.StudentID(fmt.Sprint("student-", n))})
	}
	if err := race(ctx, store, fmt.Sprintf("%d students, one course with %d places", students, places), wishes); err != nil {
		return err
	}
	wishes = nil
	for _, course := range []enrolment.CourseID{"sql", "maths", "music", "art", "go"} {
		wishes = append(wishes, wish{course, "ada"})
	}
	return race(ctx, store, "one student, five courses", wishes)
}

type wish struct {
	course  enrolment.CourseID
	student enrolment.StudentID
}

// race grants all wishes at once, as far as the rules go.
func race(ctx context.Context, store aggregate.LogStore, what string, wishes []wish) error {
	errs := make([]error, len(wishes))
	var all sync.WaitGroup
	for n, w := range wishes {
		all.Go(func() {
			id := aggregate.CommandID(fmt.Sprintf("enrol %s in %s", w.student, w.course))
			for errs[n] = eventstore.ErrConditionFailed; errors.Is(errs[n], eventstore.ErrConditionFailed); { // it kept meeting others
				_, errs[n] = enrolment.Enrol(ctx, store, w.course, w.student, id)
			}
		})
	}
	all.Wait()
	enrolled := 0
	for _, err := range errs {
		switch {
		case err == nil:
			enrolled++
		case !errors.Is(err, enrolment.ErrFull) && !errors.Is(err, enrolment.ErrTooMany):
			return err
		}
	}
	fmt.Printf("%s: %d enrolled, %d refused\n", what, enrolled, len(wishes)-enrolled)
	return nil
}

// open opens the store in the file, or in the database if there is a URL.
func open(ctx context.Context, path, url string) (store eventstore.Store, closing func() error, err error) {
	if url == "" {
		file, err := sqlite.Open(ctx, path, sqlite.Options{})
		if err != nil {
			return nil, nil, err
		}
		return file, func() error { return file.Close(ctx) }, nil
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	defer pool.Close() // the store has connections of its own
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{}); err != nil {
		return nil, nil, err
	}
	database, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		return nil, nil, err
	}
	return database, func() error { return database.Close(ctx) }, nil
}
