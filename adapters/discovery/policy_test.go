package discovery_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/discovery"
)

func TestAddressesThatThePolicyAllows(t *testing.T) {
	t.Parallel()
	vpc := discovery.AddressPolicy{Only: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}}
	here := discovery.AddressPolicy{Loopback: true}
	for _, c := range []struct {
		policy  discovery.AddressPolicy
		address string
		says    string // why not; "": it is allowed
	}{
		{address: "10.0.0.1"}, {address: "172.16.0.1"}, {address: "192.168.1.1"}, {address: "100.64.0.1"}, {address: "52.1.2.3"},
		{address: "fd12::1"}, {address: "2600:1f18::1"}, {address: "::ffff:10.0.0.1"}, {address: "64:ff9b::10.0.0.1"}, {address: "2002:a00:1::1"},
		{address: "127.0.0.1", says: "this machine"}, {address: "127.9.9.9", says: "this machine"}, {address: "::1", says: "this machine"},
		{address: "::ffff:127.0.0.1", says: "127.0.0.1 in the form of an IPv4-mapped address, which is an address of this machine"},
		{policy: here, address: "127.0.0.1"}, {policy: here, address: "::1"}, {policy: here, address: "169.254.169.254", says: "link-local"},
		{policy: vpc, address: "10.1.2.3"}, {policy: vpc, address: "::ffff:10.1.2.3"}, {policy: vpc, address: "fd12::1"},
		{policy: vpc, address: "10.2.0.1", says: "outside"}, {policy: vpc, address: "52.1.2.3", says: "outside"}, {policy: vpc, address: "127.0.0.1", says: "this machine"},
		{address: "64:ff9b:1::a9fe:a9fe", says: "cannot be read"}, {address: "2001:0:1::1", says: "cannot be read"}, {address: "::a9fe:a9fe", says: "IPv4-compatible"},
		{address: "fe80::1%eth0", says: "link-local"}, {address: "100.100.100.200", says: "metadata"}, {address: "192.0.0.192", says: "protocol"},
		{address: "fd20:ce::254", says: "metadata"}, {address: "fd00:c1::a9fe:a9fe", says: "metadata"}, {address: "fd00:42::42", says: "metadata"},
		{address: "::ffff:0:169.254.169.254", says: "IPv4-translated"}, {address: "fd00:ec2::23", says: "metadata"}, {address: "fec0::1", says: "site-local"}, {address: "0.1.2.3", says: "unspecified"},
	} {
		err := c.policy.Check(netip.MustParseAddr(c.address))
		if c.says == "" {
			assert.NoError(t, err, c.address)
			continue
		}
		require.ErrorIs(t, err, discovery.ErrAddressRefused, c.address)
		assert.ErrorContains(t, err, c.says, c.address)
	}
	assert.ErrorIs(t, discovery.AddressPolicy{}.Control("tcp", "no address", nil), discovery.ErrAddressRefused)
	assert.ErrorIs(t, discovery.AddressPolicy{}.Check(netip.Addr{}), discovery.ErrAddressRefused)
}

// Whatever is refused as an IPv4 address is refused in each form that carries it.
func TestNoFormHidesAnAddress(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkForms(t, discovery.AddressPolicy{}.Check))
}

// The twin asks package net, as most do.
func TestPlantedBugForbiddenAddressesByNetIPIsFound(t *testing.T) {
	t.Parallel()
	caught(t, checkForms(t, func(a netip.Addr) error {
		if ip := net.IP(a.AsSlice()); ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
			return discovery.ErrAddressRefused
		}
		return nil
	}))
}

func checkForms(t *testing.T, check func(netip.Addr) error) (found error) {
	forbidden := []string{"127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "0.0.0.0/8", "240.0.0.0/4"}
	rapid.Check(t, func(t *rapid.T) {
		network := netip.MustParsePrefix(rapid.SampledFrom(forbidden).Draw(t, "network"))
		inner := network.Addr().As4()
		for n, b := range rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "host") {
			mask := byte(0xff) >> max(0, min(8, network.Bits()-8*n))
			inner[n] |= b & mask
		}
		mapped, nat64, sixToFour := [16]byte{10: 0xff, 11: 0xff}, [16]byte{1: 0x64, 2: 0xff, 3: 0x9b}, [16]byte{0: 0x20, 1: 0x02}
		copy(mapped[12:], inner[:])
		copy(nat64[12:], inner[:])
		copy(sixToFour[2:], inner[:])
		for _, a := range []netip.Addr{netip.AddrFrom4(inner), netip.AddrFrom16(mapped), netip.AddrFrom16(nat64), netip.AddrFrom16(sixToFour)} {
			if check(a) == nil {
				found = fmt.Errorf("%s passes, which is %s", a, netip.AddrFrom4(inner))
			}
		}
	})
	return found
}
