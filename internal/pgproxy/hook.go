package pgproxy

import "sync"

// Hook decides what becomes of a frame. It is asked about one frame at a time, so it may
// count without a lock. It must not block: what waits is what [Pause] returns.
type Hook func(Frame) Action

// Action is what becomes of a frame. The zero value is [Forward].
type Action struct {
	kind  kind
	after <-chan struct{}
}

type kind int

const (
	forward kind = iota
	cut
	deliverThenCut
	flushThenCut
)

// What may become of a frame.
var (
	// Forward delivers it.
	Forward = Action{kind: forward}

	// Cut closes both sides now. The frame is not delivered, all before it were.
	//
	// At a client's Sync or Query: the server never commits. At the server's ReadyForQuery:
	// the client has every result and does not know that the commit has happened.
	Cut = Action{kind: cut}

	// DeliverThenCut delivers it and then closes both sides. For a server's frame that is at
	// once. For a client's it is when the server has answered all requests that reached it
	// (the last ReadyForQuery has come), and the client sees nothing of these answers.
	//
	// At a client's Sync or Query: the commit has happened, before the client sees the
	// cut, and the answer to it is lost.
	DeliverThenCut = Action{kind: deliverThenCut}

	// FlushThenCut is for a client's Sync. The server gets a Flush in its place, which
	// sends results and commits nothing; the client gets them, and both sides are closed
	// before the ReadyForQuery that will never come. That is what a client sees of a
	// server that fails in the commit, after results too large for its buffer.
	FlushThenCut = Action{kind: flushThenCut}
)

// Pause holds the frame, and what comes behind it in its direction, until the channel is
// closed, and then forwards it. To freeze a connection, pause frames of both directions.
func Pause(until <-chan struct{}) Action { return Forward.After(until) }

// After returns the action, to be done when the channel is closed.
func (a Action) After(until <-chan struct{}) Action {
	a.after = until
	return a
}

func oneAtATime(hook Hook) func(Frame) Action {
	if hook == nil {
		return func(Frame) Action { return Forward }
	}
	var mu sync.Mutex
	return func(f Frame) Action {
		mu.Lock()
		defer mu.Unlock()
		return hook(f)
	}
}
