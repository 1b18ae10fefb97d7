package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// DNS is a resolver that asks a DNS server: Cloud Map, Route 53 and the service discovery of
// ECS answer there. It asks for SRV records, which have ports and weights; with Port set, for
// A and AAAA records.
//
// A name that does not exist, and one without such records, is [ErrUnknownService]. What a
// server that fails or does not answer says is never taken for an answer.
type DNS struct {
	// Domain is what stands after the service: "orders" is looked up as "orders.<Domain>",
	// which is the Authority of its endpoints. Search lists are not used.
	Domain string

	// Prefix stands before the name of SRV records where they have one, such as "_http._tcp".
	Prefix string

	// Port is where instances listen. 0: SRV records say it.
	Port uint16

	// Scheme is that of the endpoints. Default: "http".
	Scheme string

	// Server is the DNS server, as host:port. Default: those of the system.
	Server string

	// Timeout bounds one Resolve with all its lookups. Default: 5 s.
	Timeout time.Duration
}

// Resolve looks the service up.
func (d DNS) Resolve(ctx context.Context, service string) ([]Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.Timeout, 5*time.Second))
	defer cancel()
	name := service
	if d.Domain != "" {
		name += "." + strings.Trim(d.Domain, ".")
	}
	look := lookup{d.resolver(), Endpoint{Scheme: cmp.Or(d.Scheme, "http"), Authority: name, Port: d.Port}}
	var endpoints []Endpoint
	var err error
	if d.Port == 0 {
		endpoints, err = look.srv(ctx, strings.TrimPrefix(d.Prefix+"."+name, "."))
	} else {
		endpoints, err = look.addresses(ctx, name)
	}
	if isNotFound(err) {
		return nil, fmt.Errorf("%w: %q: %w", ErrUnknownService, service, err)
	}
	return endpoints, err
}

func isNotFound(err error) bool {
	missing, ok := errors.AsType[*net.DNSError](err)
	return ok && missing.IsNotFound
}

func (d DNS) resolver() *net.Resolver {
	if d.Server == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, d.Server)
		if err == nil { // package net looks at deadlines only
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}}
}

// lookup makes endpoints that are like one but for what the records say.
type lookup struct {
	*net.Resolver
	like Endpoint
}

// srv returns the endpoints of the targets. One that has no address takes none of the others
// away.
func (l lookup) srv(ctx context.Context, name string) ([]Endpoint, error) {
	// An error beside records says that some of them were no names of hosts.
	_, records, err := l.LookupSRV(ctx, "", "", name+".")
	if len(records) == 0 {
		return nil, err
	}
	var endpoints []Endpoint
	var failed error
	for _, record := range records {
		if record.Target == "." { // RFC 2782: decidedly not served here
			continue
		}
		found, err := lookup{l.Resolver, Endpoint{
			ID: fmt.Sprintf("%s:%d", strings.TrimSuffix(record.Target, "."), record.Port), Scheme: l.like.Scheme, Authority: l.like.Authority,
			Port: record.Port, Priority: record.Priority, Weight: record.Weight,
		}}.addresses(ctx, strings.TrimSuffix(record.Target, "."))
		endpoints = append(endpoints, found...)
		if failed == nil || isNotFound(failed) { // that one is not there says nothing of one of which nobody could tell
			failed = cmp.Or(err, failed)
		}
	}
	if len(endpoints) == 0 && failed != nil {
		return nil, fmt.Errorf("no target of the SRV records of %s has an address: %w", name, failed)
	}
	return endpoints, nil
}

// addresses returns an endpoint for each address of the name.
func (l lookup) addresses(ctx context.Context, name string) ([]Endpoint, error) {
	found, err := l.LookupNetIP(ctx, "ip", rooted(name))
	for _, kind := range []string{"ip4", "ip6"} { // package net says so too if it is known of one alone, and the other has failed
		if isNotFound(err) {
			found, err = l.LookupNetIP(ctx, kind, rooted(name))
		}
	}
	if err != nil {
		return nil, err
	}
	endpoints := make([]Endpoint, 0, len(found))
	for _, address := range found {
		e := l.like
		e.Host = address.Unmap().String()
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// rooted keeps search lists away from a name. An address stays as it is: one that is the target of
// an SRV record is none, but servers are found that say so.
func rooted(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	return name + "."
}
