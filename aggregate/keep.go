package aggregate

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// FoldVersion returns a type like t whose states may be kept in snapshots; n is the version of
// the fold's body, from 1. Raise it whenever the fold makes another state of the same events: a
// snapshot of the old fold is not used any more. What else may change, the state's fields and the
// events, is noticed without it.
//
// It panics, as [Define] does, if a state does not come back from its encoded form as it was: the
// encoding is encoding/json, so every field must be exported and of a type that it can read back.
// A state that refers to one thing in two places, as a list and an index of the same pointers do,
// gets no snapshot, and [SnapshotOptions].Failed is told: read back it would be two things.
func (t *Type[S, E]) FoldVersion(n int) *Type[S, E] {
	state, err := layoutOf(reflect.TypeFor[S]())
	if err == nil && n < 1 {
		err = fmt.Errorf("it is %d, versions start at 1", n)
	}
	if err != nil {
		panic(fmt.Sprintf("aggregate.Define(%q).FoldVersion: %v", t.category, err))
	}
	with := *t
	with.shape = newShape(n, state, t.events)
	return &with
}

// Shape returns the shape of the type's fold, which its snapshots are found by; zero without a
// [Type.FoldVersion].
func (t *Type[S, E]) Shape() Shape { return t.shape }

// encodeState returns the state in its encoded form, having made sure that it comes back.
func encodeState[S any](state *S) ([]byte, error) {
	text, _, err := roundTrip(state)
	if err == nil && sharesReferences(state) {
		err = errShares
	}
	return text, err
}

var (
	errUnfaithful = errors.New("the state does not come back from its encoded form as it was; look for fields with omitempty, text that is not UTF-8, and MarshalJSON methods")
	errShares     = errors.New("the state refers to one thing in two places, such as a list and an index of the same pointers: read back it would be two things, of which the fold changes one; keep it in one place and a key in the other")
)

// roundTrip encodes the state and reads it back.
func roundTrip[S any](state *S) (text []byte, back *S, err error) {
	if text, err = json.Marshal(state); err != nil {
		return nil, nil, err
	}
	back = new(S)
	err = json.Unmarshal(text, back)
	if err == nil && !reflect.DeepEqual(state, back) {
		err = errUnfaithful
	}
	return text, back, err
}

// copier returns the function that copies states for a decision, so that nothing it does to its
// copy can reach the state that is kept; or an error if there is no way to.
func copier[S any]() (func(*S) (S, error), error) {
	state := reflect.TypeFor[S]()
	if !holdsReferences(state) {
		return func(s *S) (S, error) { return *s, nil }, nil
	}
	if _, ok := any(new(S)).(interface{ Clone() S }); ok {
		return func(s *S) (S, error) { return any(s).(interface{ Clone() S }).Clone(), nil }, nil
	}
	if _, err := layoutOf(state); err != nil {
		return nil, fmt.Errorf("a state cannot be copied: give it a method Clone() %s, or mend that %w", state, err)
	}
	return func(s *S) (S, error) {
		_, back, err := roundTrip(s)
		if err != nil {
			var zero S
			return zero, err
		}
		return *back, nil
	}, nil
}

// decodeState fills a zero state with one that was encoded.
func decodeState[S any](text []byte, into *S) (err error) {
	defer noPanic(&err) // of an UnmarshalJSON
	return json.Unmarshal(text, into)
}
