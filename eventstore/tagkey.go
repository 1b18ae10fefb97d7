package eventstore

import "strings"

// TagKey makes the tags of one key, with values of one type, so that the compiler refuses a
// student's id where a course's belongs. It must hold no colon.
type TagKey[V ~string] string

// Tag returns the tag of the value, as [NewTag] does.
func (k TagKey[V]) Tag(value V) Tag { return NewTag(string(k), string(value)) }

// Claim returns the tag of an event by which its stream takes the value for itself alone, such as
// an e-mail address that only one user may have. Package aggregate refuses to append it while
// another stream holds the value. What counts as the same value, lower or upper case for
// instance, is the caller's to settle before.
func (k TagKey[V]) Claim(value V) Tag { return NewTag(claimKey, string(k.Tag(value))) }

// Release returns the tag of an event by which its stream gives the value back. On any stream but
// the one that holds the value it does nothing. A stream that is deleted keeps what it holds, for
// ever: release it before.
func (k TagKey[V]) Release(value V) Tag { return NewTag(releaseKey, string(k.Tag(value))) }

// Keys that start with "$" are our own, as types are.
const (
	claimKey   = "$claim"
	releaseKey = "$release"
)

// Claims reports whether the tag claims a value, and which, as "key:value".
func (t Tag) Claims() (value string, claims bool) { return strings.CutPrefix(string(t), claimKey+":") }

// Releases reports whether the tag releases a value, and which, as "key:value".
func (t Tag) Releases() (value string, releases bool) {
	return strings.CutPrefix(string(t), releaseKey+":")
}

// ClaimsOn returns the query for every event that claims or releases the value, given as
// [Tag.Claims] returns it.
func ClaimsOn(value string) Query {
	return Tagged(NewTag(claimKey, value)).Or(Tagged(NewTag(releaseKey, value)))
}
