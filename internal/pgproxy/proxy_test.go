package pgproxy_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/internal/pgproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, target string, hook pgproxy.Hook) *pgproxy.Proxy {
	t.Helper()
	proxy, err := pgproxy.Start(t.Context(), target, hook)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	return proxy
}

// fakeServer takes one connection and writes the types of the frames that reach it to got,
// which it closes when the connection ends. Like Postgres it keeps its answers back up to
// a Sync or Flush; each Execute returns one row.
func fakeServer(t *testing.T) (addr string, got <-chan byte) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	types := make(chan byte, 100)
	go func() {
		defer close(types)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(pgproto3.NewBackend(conn, conn), types)
	}()
	return listener.Addr().String(), types
}

func serve(backend *pgproto3.Backend, types chan<- byte) {
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	_ = backend.Flush()
	for {
		message, err := backend.Receive()
		if err != nil {
			return
		}
		switch message.(type) {
		case *pgproto3.Bind:
			types <- pgproxy.Bind
			backend.Send(&pgproto3.BindComplete{})
		case *pgproto3.Execute:
			types <- pgproxy.Execute
			backend.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("row")}})
			backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		case *pgproto3.Flush:
			types <- pgproxy.Flush
			_ = backend.Flush()
		case *pgproto3.Sync:
			types <- pgproxy.Sync
			backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			_ = backend.Flush()
		}
	}
}

// packet is what a client sends at once.
func packet(t *testing.T, messages ...pgproto3.FrontendMessage) []byte {
	t.Helper()
	var wire []byte
	for _, message := range messages {
		var err error
		wire, err = message.Encode(wire)
		require.NoError(t, err)
	}
	return wire
}

// answers returns the types of the frames that a client of the proxy gets up to the end of
// the connection, for two Executes and a Sync that it sends at once, after the login.
func answers(t *testing.T, proxy *pgproxy.Proxy) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", proxy.Addr())
	require.NoError(t, err)
	defer conn.Close()
	login := packet(t, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
	_, err = conn.Write(login)
	require.NoError(t, err)
	if readTypes(conn, 'Z') != "RZ" {
		return ""
	}
	_, err = conn.Write(packet(t,
		&pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}))
	require.NoError(t, err)
	return readTypes(conn, 0)
}

// readTypes returns the types of the frames up to the last one, or the end.
func readTypes(conn net.Conn, last byte) string {
	var types []byte
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(conn, head); err != nil {
			return string(types)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[1:]))-4); err != nil {
			return string(types) + " and a part"
		}
		types = append(types, head[0])
		if head[0] == last {
			return string(types)
		}
	}
}

func reached(got <-chan byte) string {
	var types []byte
	for kind := range got {
		types = append(types, kind)
	}
	return string(types)
}

// at does the action with the nth frame of a type and forwards all others.
func at(fromClient bool, kind byte, nth int, action pgproxy.Action) pgproxy.Hook {
	seen := 0
	return func(f pgproxy.Frame) pgproxy.Action {
		if f.FromClient == fromClient && f.Type == kind {
			if seen++; seen == nth {
				return action
			}
		}
		return pgproxy.Forward
	}
}

const client, server = true, false

// For what only another process can tell: a limit that a busy machine keeps, and a pause.
const (
	waitLimit = 30 * time.Second
	tick      = 5 * time.Millisecond
)

func TestFramesOfOnePacketAreCutApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		hook          pgproxy.Hook
		reaches, gets string
	}{
		{"before the Sync", at(client, pgproxy.Sync, 1, pgproxy.Cut), "BEBE", ""},
		{"before the second Execute", at(client, pgproxy.Execute, 2, pgproxy.Cut), "BEB", ""},
		{"before the answer", at(server, pgproxy.DataRow, 1, pgproxy.Cut), "BEBES", "2"},
		{"before the end of the answer", at(server, pgproxy.ReadyForQuery, 2, pgproxy.Cut), "BEBES", "2DC2DC"},
		{"behind the answer", at(server, pgproxy.ReadyForQuery, 2, pgproxy.DeliverThenCut), "BEBES", "2DC2DCZ"},
		{"behind the Sync, without its answer", at(client, pgproxy.Sync, 1, pgproxy.DeliverThenCut), "BEBES", ""},
		{"in place of the Sync, with its answer", at(client, pgproxy.Sync, 1, pgproxy.FlushThenCut), "BEBEH", "2DC2DC"},
		{"behind a frame that has no answer", at(client, pgproxy.Bind, 2, pgproxy.DeliverThenCut), "BEB", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr, got := fakeServer(t)
			assert.Equal(t, c.gets, answers(t, start(t, addr, c.hook)))
			assert.Equal(t, c.reaches, reached(got))
		})
	}
}

func TestAHookSeesEveryFrameInOrder(t *testing.T) {
	t.Parallel()
	addr, got := fakeServer(t)
	var asked, answered []byte
	proxy := start(t, addr, func(f pgproxy.Frame) pgproxy.Action {
		assert.Equal(t, 1, f.Conn)
		if f.FromClient {
			asked = append(asked, f.Type)
			return pgproxy.Forward
		}
		answered = append(answered, f.Type)
		if f.Type == pgproxy.CommandComplete {
			assert.Equal(t, "SELECT 1", f.Text())
		}
		if string(answered) == "RZ2DC2DCZ" {
			return pgproxy.DeliverThenCut
		}
		return pgproxy.Forward
	})
	assert.Equal(t, "2DC2DCZ", answers(t, proxy))
	assert.Equal(t, "BEBES", reached(got))
	proxy.Close() // no hook runs any more
	assert.Equal(t, "\x00BEBES", string(asked))
}

func TestAProxyWhoseServerIsAwayClosesItsClients(t *testing.T) {
	t.Parallel()
	addr, _ := fakeServer(t)
	proxy := start(t, addr, nil)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	gone := listener.Addr().String()
	require.NoError(t, listener.Close())
	assert.Empty(t, answers(t, start(t, gone, nil)))
	proxy.Close()
}

func TestCloseEndsConnectionsThatArePaused(t *testing.T) {
	t.Parallel()
	addr, got := fakeServer(t)
	paused := make(chan struct{})
	proxy := start(t, addr, func(f pgproxy.Frame) pgproxy.Action {
		if f.Type == pgproxy.Sync && f.FromClient {
			close(paused)
			return pgproxy.Pause(make(chan struct{}))
		}
		return pgproxy.Forward
	})
	go func() {
		<-paused
		proxy.Close()
	}()
	assert.Empty(t, answers(t, proxy))
	assert.Equal(t, "BEBE", reached(got))
}

func TestAProxyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	addr, _ := fakeServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	proxy, err := pgproxy.Start(ctx, addr, func(pgproxy.Frame) pgproxy.Action {
		cancel()
		return pgproxy.Pause(make(chan struct{}))
	})
	require.NoError(t, err)
	assert.Empty(t, answers(t, proxy))
	proxy.Close()
}

func TestNonsenseIsCut(t *testing.T) {
	t.Parallel()
	for _, wire := range [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, []byte("GET / HTTP/1.1\r\n\r\n")} {
		addr, got := fakeServer(t)
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", start(t, addr, nil).Addr())
		require.NoError(t, err)
		_, err = conn.Write(wire)
		require.NoError(t, err)
		_, _ = io.ReadAll(conn)
		require.NoError(t, conn.Close())
		assert.Empty(t, reached(got))
	}
}
