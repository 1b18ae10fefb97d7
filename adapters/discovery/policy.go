package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// AddressPolicy says which addresses may be dialled. The zero value is for services in a private
// network: any private or public address, and none of this machine.
//
// Refused whatever it says are addresses where no service of yours is, and those which an
// attacker who can choose an address is after: link-local (169.254.0.0/16, fe80::/10; there are
// the metadata and credentials of EC2, ECS and EKS), fd00:ec2::/32 (the same on IPv6),
// metadata addresses of other clouds, unspecified, multicast, broadcast and reserved ones, and
// each of them written into an IPv6 address (IPv4-mapped, NAT64, 6to4). What hides an
// address where it cannot be read is refused as a whole (Teredo, 64:ff9b:1::/48,
// IPv4-compatible, IPv4-translated).
type AddressPolicy struct {
	// Loopback allows the addresses of this machine, 127.0.0.0/8 and ::1.
	Loopback bool

	// Only, if there are any, are the networks that may be dialled, such as that of the VPC.
	// Loopback addresses need not be among them.
	Only []netip.Prefix
}

// ErrAddressRefused says that the policy refused an address.
var ErrAddressRefused = errors.New("address refused")

// Check returns nil if the address may be dialled, and else an error that is
// [ErrAddressRefused] and says why.
func (p AddressPolicy) Check(addr netip.Addr) error {
	reason := p.reason(addr)
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%w: %s is %s", ErrAddressRefused, addr, reason)
}

// Control is [net.Dialer.Control] for any dialer: it checks the address that is about to be
// connected to, after every lookup.
func (p AddressPolicy) Control(_, address string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is no address and port", ErrAddressRefused, address)
	}
	return p.Check(dialled.Addr())
}

// reason returns why the address may not be dialled, or "".
func (p AddressPolicy) reason(addr netip.Addr) string {
	if !addr.IsValid() {
		return "no address"
	}
	addr = addr.WithZone("")
	if inner, form := embedded(addr); form != "" {
		if reason := p.reason(inner); reason != "" {
			return fmt.Sprintf("%s in the form of %s, which is %s", inner, form, reason)
		}
		return ""
	}
	if addr.IsLoopback() {
		if p.Loopback {
			return ""
		}
		return "an address of this machine (see AddressPolicy.Loopback)"
	}
	for _, r := range refused {
		if r.network.Contains(addr) {
			return r.reason
		}
	}
	return p.outside(addr)
}

// outside returns why an address that is not refused for everybody is refused here.
func (p AddressPolicy) outside(addr netip.Addr) string {
	for _, network := range p.Only {
		if network.Contains(addr) {
			return ""
		}
	}
	if len(p.Only) == 0 {
		return ""
	}
	return "outside of the networks of AddressPolicy.Only"
}

// embedded returns the IPv4 address that an IPv6 address carries, and by which form.
func embedded(addr netip.Addr) (netip.Addr, string) {
	if addr.Is4In6() {
		return addr.Unmap(), "an IPv4-mapped address"
	}
	bytes := addr.As16()
	switch {
	case nat64.Contains(addr):
		return netip.AddrFrom4([4]byte(bytes[12:16])), "NAT64"
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(bytes[2:6])), "6to4"
	}
	return netip.Addr{}, ""
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// refused are the networks that no policy allows.
var refused = []struct {
	network netip.Prefix
	reason  string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, where metadata and credentials are"},
	{netip.MustParsePrefix("100.100.100.200/32"), "a metadata address"}, // Alibaba Cloud
	{netip.MustParsePrefix("168.63.129.16/32"), "a metadata address"},   // Azure
	{netip.MustParsePrefix("192.0.0.0/24"), "a protocol assignment"},    // RFC 6890; the metadata of Oracle Cloud
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved or broadcast"},
	{netip.MustParsePrefix("::/96"), "unspecified or IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a translation whose target cannot be read"}, // RFC 8215
	{netip.MustParsePrefix("2001::/32"), "a tunnel whose target cannot be read"},           // Teredo, RFC 4380
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated"},                          // RFC 2765; no service has one
	{netip.MustParsePrefix("fd00:ec2::/32"), "a metadata address"},
	{netip.MustParsePrefix("fd20:ce::/32"), "a metadata address"},           // Google Cloud
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), "a metadata address"}, // Oracle Cloud
	{netip.MustParsePrefix("fd00:42::42/128"), "a metadata address"},        // Scaleway
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"}, // RFC 3879
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}
