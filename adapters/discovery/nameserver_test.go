package discovery_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// nameserver is a real DNS server on loopback, on UDP and on TCP.
type nameserver struct {
	address string

	mu     sync.Mutex
	asked  map[string]int // by protocol, type and name: "udp A orders.test."
	answer func(q dnsmessage.Question, network string, asked int) reply
}

// reply is what it says: records, or that something is wrong.
type reply struct {
	rcode     dnsmessage.RCode
	records   []dnsmessage.ResourceBody
	truncated bool
	silent    bool
}

func serveNames(t testing.TB, answer func(q dnsmessage.Question, network string, asked int) reply) *nameserver {
	var listener net.Listener
	var packets net.PacketConn
	for range 20 { // until a port is free for both
		var err error
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		if packets, err = net.ListenPacket("udp", listener.Addr().String()); err == nil {
			break
		}
		listener.Close()
	}
	require.NotNil(t, packets)
	n := &nameserver{address: listener.Addr().String(), asked: map[string]int{}, answer: answer}
	var serving sync.WaitGroup
	serving.Go(func() { n.serveUDP(packets) })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { n.serveTCP(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		packets.Close()
		serving.Wait()
	})
	return n
}

func (n *nameserver) serveUDP(packets net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer := n.respond(buffer[:size], "udp"); answer != nil {
			packets.WriteTo(answer, from)
		}
	}
}

func (n *nameserver) serveTCP(conn net.Conn) {
	defer conn.Close()
	var size uint16
	for binary.Read(conn, binary.BigEndian, &size) == nil {
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := n.respond(query, "tcp")
		if answer == nil {
			return
		}
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

func (n *nameserver) respond(query []byte, network string) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	key := network + " " + strings.TrimPrefix(q.Type.String(), "Type") + " " + strings.ToLower(q.Name.String())
	n.mu.Lock()
	n.asked[key]++
	says := n.answer(q, network, n.asked[key])
	n.mu.Unlock()
	if says.silent {
		return nil
	}
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true, RCode: says.rcode, Truncated: says.truncated},
		Questions: m.Questions,
	}
	for _, record := range says.records {
		answer.Answers = append(answer.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: 1}, Body: record,
		})
	}
	packed, err := answer.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

// count returns how often it was asked.
func (n *nameserver) count(key string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[key]
}

// zone answers from records by "TYPE name", and NXDOMAIN for names of which it has none.
type zone map[string][]dnsmessage.ResourceBody

func (z zone) answer(q dnsmessage.Question, _ string, _ int) reply {
	name := strings.ToLower(q.Name.String())
	if records, there := z[strings.TrimPrefix(q.Type.String(), "Type")+" "+name]; there {
		return reply{records: records}
	}
	for _, kind := range []string{"A", "AAAA", "SRV"} {
		if _, there := z[kind+" "+name]; there {
			return reply{}
		}
	}
	return reply{rcode: dnsmessage.RCodeNameError}
}

func a(addresses ...string) (records []dnsmessage.ResourceBody) {
	for _, text := range addresses {
		if address := netip.MustParseAddr(text); address.Is4() {
			records = append(records, &dnsmessage.AResource{A: address.As4()})
		} else {
			records = append(records, &dnsmessage.AAAAResource{AAAA: address.As16()})
		}
	}
	return records
}

func srv(priority, weight, port uint16, target string) dnsmessage.ResourceBody {
	return &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(target)}
}
