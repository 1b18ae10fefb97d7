package eventstore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/eventstore"
)

type courseID string

const course eventstore.TagKey[courseID] = "course"

// Each key takes values of its own type: course.Tag(studentID) does not compile.
func ExampleTagKey() {
	type CourseID string
	type StudentID string
	const (
		course  eventstore.TagKey[CourseID]  = "course"
		student eventstore.TagKey[StudentID] = "student"
	)
	fmt.Println(course.Tag("go-101"), student.Tag("ada"))
	// Output: course:go-101 student:ada
}

func TestAClaimAndItsReleaseAreOfTheSameValue(t *testing.T) {
	claim, release, plain := course.Claim("go:101"), course.Release("go:101"), course.Tag("go:101")

	claimed, claims := claim.Claims()
	assert.True(t, claims)
	released, releases := release.Releases()
	assert.True(t, releases)
	assert.Equal(t, "course:go:101", claimed)
	assert.Equal(t, claimed, released)

	for _, tag := range []eventstore.Tag{release, plain} {
		_, claims := tag.Claims()
		assert.False(t, claims, tag)
	}
	for _, tag := range []eventstore.Tag{claim, plain} {
		_, releases := tag.Releases()
		assert.False(t, releases, tag)
	}
}

func TestTheQueryForClaimsSelectsBothAndNothingElse(t *testing.T) {
	query := eventstore.ClaimsOn("course:go")
	for tag, selected := range map[eventstore.Tag]bool{
		course.Claim("go"): true, course.Release("go"): true, course.Tag("go"): false, course.Claim("go2"): false,
	} {
		assert.Equal(t, selected, query.Matches(eventstore.EventData{Type: "x", Tags: []eventstore.Tag{tag}}), tag)
	}
	assert.True(t, query.Tagged(), "answered from the index of tags")
}
