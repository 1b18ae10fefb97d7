// Package wake lets any number of goroutines wait for the next change of something.
package wake

import "sync"

// Signal wakes everybody who waits. The zero value is ready.
//
// A waiter takes the channel first, looks at the state second and waits third; a
// change between the last two has closed the channel already, so no wake-up is lost.
type Signal struct {
	mu   sync.Mutex
	next chan struct{}
}

// Next returns a channel that is closed at the next [Signal.Notify].
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

// Notify wakes everybody who waits.
func (s *Signal) Notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}
