package discovery

import (
	"context"
	"net"
)

// Dialing makes a connection.
type Dialing = func(ctx context.Context, network, address string) (net.Conn, error)

// DialThrough returns options whose connections are made through what through returns.
func DialThrough(o TransportOptions, through func(Dialing) Dialing) TransportOptions {
	o.dialThrough = func(d dialing) dialing { return through(d) }
	return o
}

// Choose runs the choice between endpoints with these weights and requests under way; random
// gives numbers in [0, 1).
func Choose(weights []uint16, inFlight []int, random func() float64) int {
	endpoints := make([]*endpoint, len(weights))
	for i := range weights {
		endpoints[i] = &endpoint{Endpoint: Endpoint{Weight: weights[i]}, inFlight: inFlight[i]}
	}
	chosen := twoChoices(endpoints, random)
	for i, e := range endpoints {
		if e == chosen {
			return i
		}
	}
	return -1
}
