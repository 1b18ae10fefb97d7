// Package discovery finds the instances of a service and sends HTTP requests to them: a
// request for http://orders/v1/x goes to an endpoint of the service "orders", and who sends
// it needs nothing but an [http.Client].
//
//	found := discovery.NewCached(discovery.DNS{Domain: "prod.internal"}, discovery.CachedOptions{})
//	transport := discovery.NewTransport(found, discovery.TransportOptions{})
//	client := discovery.NewClient(transport)
//	response, err := client.Get("http://orders/v1/x")
//
// What it promises:
//
//   - A request is sent a second time only if no connection was made for it, or if it says that
//     it may be repeated: an idempotent method or an Idempotency-Key, with a body that can be had
//     again. What was sent once and may not be repeated is never sent twice.
//   - An endpoint that fails gets no more requests for a while, and then one, as a probe. At
//     least a third of the endpoints stay in use, however bad they look.
//   - Repeats are bounded by what succeeds: when everything fails they stop. A service of which
//     nothing answers is left alone for a while, and its callers get [ErrOpen] at once, with
//     the reason and the time.
//   - No connection is made to an address that the [AddressPolicy] refuses, whatever a name, a
//     record, a redirect or a URL says: the address is looked at when it is dialled, after the
//     last lookup. Proxies in the environment are not used.
//   - A context that its caller ends is no failure of an endpoint.
//
// What it does not: it does not register instances, does not ask them how they are, and does not
// choose by zone. A failure is noticed by the requests that meet it.
//
// Resolvers are [Static] (a load balancer, API Gateway, a Service Connect alias, the DNS name of
// a Lattice service), [DNS] (Cloud Map, Route 53, ECS), package cloudmap (DiscoverInstances) and
// [Cached] around any of them. Package lattice signs requests for VPC Lattice. App Mesh has
// ended; Service Connect and Lattice have taken its place.
package discovery
