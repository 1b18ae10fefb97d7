package discovery

import (
	"cmp"
	"slices"
	"time"
)

// Status is how a service does, as the transport has seen it.
type Status struct {
	Service   string
	Circuit   Rest             // of the whole service
	Repeats   int              // how many may be made now; each success gives back a fifth of one
	Endpoints []EndpointStatus // those that the resolver named last, in order of priority and ID
}

// EndpointStatus is how an endpoint does.
type EndpointStatus struct {
	ID               string
	Address          string // host and port
	Priority, Weight uint16
	InFlight         int  // requests sent whose answers are not read to the end
	Failures         int  // of the last tries, in a row
	Ejected          Rest // or busy
}

// Rest is a pause of what has failed. Zero: there is none.
type Rest struct {
	Until   time.Time // then one request is let through as a probe
	Probing bool      // it is under way
	Cause   error
}

// Status returns the services that were asked for, by name.
func (t *Transport) Status() []Status {
	t.mu.Lock()
	services := make([]*service, 0, len(t.services))
	for _, s := range t.services {
		services = append(services, s)
	}
	t.mu.Unlock()
	all := make([]Status, 0, len(services))
	for _, s := range services {
		all = append(all, s.status())
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

func (s *service) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{Service: s.name, Circuit: s.circuit.shown(), Repeats: s.repeats / repeatCosts}
	for _, e := range s.live {
		status.Endpoints = append(status.Endpoints, EndpointStatus{
			ID: e.id(), Address: e.address(), Priority: e.Priority, Weight: e.Weight,
			InFlight: e.inFlight, Failures: e.last.inARow(), Ejected: e.rest.shown(),
		})
	}
	slices.SortFunc(status.Endpoints, func(a, b EndpointStatus) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	return status
}

func (r *rest) shown() Rest {
	if !r.resting {
		return Rest{}
	}
	return Rest{Until: r.until, Probing: r.probing, Cause: r.cause}
}
