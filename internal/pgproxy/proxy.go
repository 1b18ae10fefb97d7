// Package pgproxy stands between a Postgres client and its server and breaks their
// connection at a chosen frame of the protocol, so that a test can lose the answer to one
// COMMIT and no other.
//
// A network fault between packets cannot be aimed: a client sends Bind, Execute and Sync
// in one packet, and whether the server got the last of them decides whether there was
// a commit. The proxy reads whole frames, asks a [Hook] about each, and delivers them one
// by one. What it delivered before a cut has reached the other side's kernel.
//
// It knows the frames of protocol 3.0 and nothing of their meaning, except when a request
// ends. There is no TLS: the proxy declines it as a server without a certificate does.
// COPY in both directions (replication) is not supported.
package pgproxy

import (
	"context"
	"net"
	"sync"
)

// Proxy listens on a port of 127.0.0.1 and connects each client to the same server.
type Proxy struct {
	listener net.Listener
	target   string
	hook     func(Frame) Action
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	links  map[*link]bool
}

// Start starts a proxy for the server at target, host:port. It ends with the context or
// with [Proxy.Close]. No hook: everything is forwarded.
func Start(ctx context.Context, target string, hook Hook) (*Proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Proxy{listener: listener, target: target, hook: oneAtATime(hook), cancel: cancel, links: map[*link]bool{}}
	p.running.Go(func() { p.accept(ctx) })
	p.running.Go(func() {
		<-ctx.Done()
		p.shut()
	})
	return p, nil
}

// Addr returns where clients connect to, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close cuts all connections and returns when nothing of the proxy runs any more.
func (p *Proxy) Close() {
	p.cancel()
	p.running.Wait()
}

func (p *Proxy) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	_ = p.listener.Close()
	for l := range p.links {
		l.cut()
	}
}

func (p *Proxy) accept(ctx context.Context) {
	for conn := 1; ; conn++ {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(ctx, conn, client) })
	}
}

// serve ends when both directions have.
func (p *Proxy) serve(ctx context.Context, conn int, client net.Conn) {
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := newLink(conn, client, server, p.hook)
	if !p.add(l) {
		l.cut()
		return
	}
	defer p.remove(l)
	var back sync.WaitGroup
	back.Go(l.fromServer)
	l.fromClient()
	back.Wait()
}

// add reports false if the proxy was closed while we connected.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.links[l] = true
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}
