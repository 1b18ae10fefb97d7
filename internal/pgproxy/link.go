package pgproxy

import (
	"bufio"
	"encoding/binary"
	"net"
	"sync"
)

// link is one client's connection to the server. Each direction has a goroutine; either
// may cut, and both end then.
type link struct {
	conn           int
	client, server net.Conn
	hook           func(Frame) Action
	once           sync.Once
	gone           chan struct{} // closed by cut

	answering sync.Mutex // held from when an answer is noted until it is delivered

	mu     sync.Mutex
	owed   int  // ReadyForQuery that the server has still to send, for what reached it
	open   int  // Executes that it has still to answer
	failed bool // it skips what comes before the next Sync
	ending ending
}

// ending is how a link goes on after a client's frame that leads to a cut.
type ending int

const (
	none            ending = iota
	withoutAnswer          // swallow what the server says; cut when it has finished
	withResultsOnly        // deliver its results; cut behind them
)

func newLink(conn int, client, server net.Conn, hook func(Frame) Action) *link {
	// The server owes a ReadyForQuery to every startup message.
	return &link{conn: conn, client: client, server: server, hook: hook, gone: make(chan struct{}), owed: 1}
}

// cut closes both sides. What was written before is delivered first: a close without
// lingering sends what the kernel holds.
func (l *link) cut() {
	l.once.Do(func() {
		close(l.gone)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// fromClient delivers the client's frames, until there are no more or one leads to a cut.
func (l *link) fromClient() {
	from := bufio.NewReader(l.client)
	first, err := l.readStartup(from)
	if err != nil || !l.request(first) {
		l.cut()
		return
	}
	for {
		f, err := readFrame(from)
		if err != nil {
			l.cut()
			return
		}
		f.Conn, f.FromClient = l.conn, true
		if !l.request(f) {
			return
		}
	}
}

// Requests that a client may make before its startup message. The proxy answers no.
const (
	sslRequest    = 80877103
	gssEncRequest = 80877104
)

func (l *link) readStartup(from *bufio.Reader) (Frame, error) {
	for {
		payload, err := readPayload(from)
		if err != nil {
			return Frame{}, err
		}
		if len(payload) == 4 {
			if code := binary.BigEndian.Uint32(payload); code == sslRequest || code == gssEncRequest {
				if _, err := l.client.Write([]byte{'N'}); err != nil {
					return Frame{}, err
				}
				continue
			}
		}
		return Frame{Conn: l.conn, FromClient: true, Type: Startup, Payload: payload}, nil
	}
}

// request does with a client's frame what the hook says, and reports whether to go on.
func (l *link) request(f Frame) bool {
	action := l.hook(f)
	if !l.wait(action) {
		return false
	}
	switch action.kind {
	case cut:
		l.cut()
		return false
	case deliverThenCut:
		l.deliver(f, withoutAnswer)
		return false
	case flushThenCut:
		if f.Type != Sync {
			panic("pgproxy: FlushThenCut is for a client's Sync")
		}
		l.flush(f)
		return false
	default:
		return l.deliver(f, none)
	}
}

// deliver notes what the server will owe before it can answer.
func (l *link) deliver(f Frame, end ending) bool {
	l.mu.Lock()
	l.ending = end
	if f.endsRequest() {
		l.owed++
		l.failed = false
	}
	if f.Type == Execute && !l.failed {
		l.open++
	}
	finished := end == withoutAnswer && l.owed == 0 // a Bind, say: nothing will come
	l.mu.Unlock()
	return l.goOn(f.writeTo(l.server) == nil && !finished)
}

// flush cuts at once if there is nothing to flush.
func (l *link) flush(sync Frame) {
	l.answering.Lock()
	l.mu.Lock()
	answered := l.open == 0
	if !answered {
		l.ending = withResultsOnly // now: a result that comes before the Flush is one to cut behind
	}
	l.mu.Unlock()
	l.answering.Unlock()
	if answered {
		l.cut()
		return
	}
	sync.Type = Flush
	l.deliver(sync, withResultsOnly)
}

// fromServer delivers the server's frames, until there are no more or one leads to a cut.
func (l *link) fromServer() {
	from := bufio.NewReader(l.server)
	for {
		f, err := readFrame(from)
		if err != nil {
			l.cut()
			return
		}
		f.Conn = l.conn
		if !l.answer(f) {
			return
		}
	}
}

// answer does with a server's frame what the ending demands or the hook says, and reports
// whether to go on.
func (l *link) answer(f Frame) bool {
	l.answering.Lock()
	defer l.answering.Unlock()
	ending, last := l.note(f)
	switch ending {
	case withoutAnswer:
		return l.goOn(!last)
	case withResultsOnly:
		return l.goOn(f.writeTo(l.client) == nil && !last)
	}
	action := l.hook(f)
	if !l.wait(action) {
		return false
	}
	switch action.kind {
	case forward:
		return l.goOn(f.writeTo(l.client) == nil)
	case deliverThenCut:
		_ = f.writeTo(l.client)
	case flushThenCut:
		panic("pgproxy: FlushThenCut is for a client's Sync")
	}
	return l.goOn(false)
}

// note keeps account of what the server has answered. Last: it has finished, as far as
// the ending is concerned.
func (l *link) note(f Frame) (end ending, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case f.Type == ReadyForQuery:
		l.owed--
	case f.Type == ErrorResponse:
		l.open, l.failed = 0, l.owed == 0 // it skips the others, up to the Sync, which may have reached it
	case f.endsExecute() && l.open > 0: // a Query has no Execute
		l.open--
	}
	if l.ending == withoutAnswer {
		return l.ending, f.Type == ReadyForQuery && l.owed == 0
	}
	return l.ending, l.open == 0
}

// goOn cuts if not.
func (l *link) goOn(really bool) bool {
	if !really {
		l.cut()
	}
	return really
}

// wait reports false if the link was cut before the action's time came.
func (l *link) wait(action Action) bool {
	if action.after == nil {
		return true
	}
	select {
	case <-action.after:
		return true
	case <-l.gone:
		return false
	}
}
