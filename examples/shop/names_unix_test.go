//go:build unix

package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// serveNames is a DNS server that knows the services of a domain, and returns its address: for each there is
// an SRV record with its port, as Cloud Map has them.
func serveNames(t *testing.T, domain string, addresses map[string]string) string {
	t.Helper()
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buffer := make([]byte, 1500); ; {
			size, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := answerOf(buffer[:size], "."+domain+".", addresses); err == nil {
				_, _ = packets.WriteTo(answer, from) // who gets none asks again
			}
		}
	}()
	t.Cleanup(func() {
		packets.Close()
		<-ended
	})
	return packets.LocalAddr().String()
}

func answerOf(packet []byte, domain string, addresses map[string]string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil {
		return nil, err
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	service := strings.TrimSuffix(q.Name.String(), domain)
	at, err := netip.ParseAddrPort(addresses[service])
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	switch {
	case err != nil:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeSRV:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.SRVResource{Port: at.Port(), Target: q.Name}}}
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: at.Addr().As4()}}}
	}
	return m.Pack()
}
