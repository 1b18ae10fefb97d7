package eventstore

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// StreamID names one entity's ordered events, as "category-id": the category
// ends at the first dash, the id may hold more of them.
type StreamID string

// NewStreamID joins a category and an id. Bad names are refused when they are used.
func NewStreamID(category, id string) StreamID { return StreamID(category + "-" + id) }

// Category returns the part before the first dash.
func (s StreamID) Category() string { category, _, _ := strings.Cut(string(s), "-"); return category }

// ID returns the part after the first dash.
func (s StreamID) ID() string { _, id, _ := strings.Cut(string(s), "-"); return id }

// Slice returns the stream's slice, see [SliceOf].
func (s StreamID) Slice() Slice { return SliceOf(string(s)) }

// Version is the 1-based place of an event in its stream; 0 means nothing yet.
type Version int64

// Position is the 1-based place of an event in the whole log: gap-free, in commit
// order. 0 is before the first event.
type Position int64

// Slice is one of [Slices] hash ranges of keys. Work on a log is divided by slice.
type Slice int16

// Slices is the number of slices. It is stored with every event and never changes.
const Slices = 1024

// SliceOf returns the slice of a key: FNV-1a (64 bit), mixed by the finalizer of
// MurmurHash3 because FNV's low bits are weak for short keys, modulo [Slices].
// The function is frozen; stores keep its result.
func SliceOf(key string) Slice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return Slice(x % Slices)
}

// ExpectedVersion is what a writer believes about a stream before it appends.
// The zero value is [Any].
type ExpectedVersion struct {
	belief  belief
	version Version
}

type belief uint8

const (
	anyVersion belief = iota
	noStream
	streamExists
	exactly
)

var (
	// Any accepts the stream as it is. Use it for facts that are true whatever came before.
	Any = ExpectedVersion{belief: anyVersion}
	// NoStream accepts only a stream without events.
	NoStream = ExpectedVersion{belief: noStream}
	// StreamExists accepts only a stream with at least one event.
	StreamExists = ExpectedVersion{belief: streamExists}
)

// Exactly accepts only a stream whose newest event has version v. Exactly(0) is [NoStream].
func Exactly(v Version) ExpectedVersion {
	if v == 0 {
		return NoStream
	}
	return ExpectedVersion{belief: exactly, version: v}
}

// Accepts reports whether the belief holds for a stream at the actual version.
func (e ExpectedVersion) Accepts(actual Version) bool {
	switch e.belief {
	case noStream:
		return actual == 0
	case streamExists:
		return actual > 0
	case exactly:
		return actual == e.version
	default:
		return true
	}
}

// Version returns the version that must be the newest, and whether the belief names one:
// 0 for [NoStream]. [Any] and [StreamExists] name none.
func (e ExpectedVersion) Version() (v Version, named bool) {
	return e.version, e.belief == exactly || e.belief == noStream
}

// String returns the belief in words, for errors and logs.
func (e ExpectedVersion) String() string {
	switch e.belief {
	case noStream:
		return "no stream"
	case streamExists:
		return "an existing stream"
	case exactly:
		return fmt.Sprintf("version %d", e.version)
	default:
		return "any version"
	}
}
