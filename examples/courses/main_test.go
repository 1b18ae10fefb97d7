package main

import (
	"context"
	"os"
)

// The whole program, as the README shows it.
func Example() {
	dir, err := os.MkdirTemp("", "courses")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for range 2 { // the second time everything has happened already
		if err := run(context.Background(), dir+"/courses.db", ""); err != nil {
			panic(err)
		}
	}
	// Output:
	// 64 students, one course with 10 places: 10 enrolled, 54 refused
	// one student, five courses: 3 enrolled, 2 refused
	// 64 students, one course with 10 places: 10 enrolled, 54 refused
	// one student, five courses: 3 enrolled, 2 refused
}
