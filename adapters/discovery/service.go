package discovery

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// service is what a transport knows of one service.
type service struct {
	name    string
	options *TransportOptions
	log     *slog.Logger

	mu      sync.Mutex
	answer  []Endpoint // of the resolver, the last one
	live    []*endpoint
	all     map[Endpoint]*endpoint // by key; those too that have left and are not forgotten yet
	circuit rest
	last    outcomes // of requests
	repeats int      // what may still be spent on them
}

// endpoint is one of them. Its service's mutex guards it.
type endpoint struct {
	Endpoint

	pool     pool
	inFlight int
	last     outcomes // of tries
	rest     rest
	left     bool // the resolver does not name it any more
}

// key is what makes an endpoint the same one under another priority and weight.
func (e Endpoint) key() Endpoint {
	e.Priority, e.Weight = 0, 0
	return e
}

// A repeat costs what five successes give, and 100 of them are there to begin with, and at most.
// So when nothing succeeds there are 100 of them, and over time at most a fifth of the requests.
const (
	repeatCosts  = 5
	successGives = 1
	mostRepeats  = 100 * repeatCosts
)

func newService(name string, options *TransportOptions) *service {
	return &service{
		name: name, options: options, log: options.Logger.With("service", name),
		all: map[Endpoint]*endpoint{}, repeats: mostRepeats,
	}
}

// update makes the endpoints those that the resolver names now. The others are drained: what is
// under way there ends by itself, and connections are closed.
func (s *service) update(answer []Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.answer, answer) {
		return
	}
	s.answer, s.live = slices.Clone(answer), nil
	named := map[Endpoint]bool{}
	for _, a := range answer {
		key := a.key()
		if named[key] {
			continue
		}
		named[key] = true
		e, known := s.all[key]
		if !known {
			e = &endpoint{pool: newPool(s.name, a, s.options)}
			s.all[key] = e
		}
		e.Endpoint, e.left = a, false
		s.live = append(s.live, e)
	}
	for key, e := range s.all {
		if !named[key] && !e.left {
			e.left = true
			e.pool.drain()
		}
	}
	s.forget(time.Now())
}

// forget drops those that have left. One that is ejected is remembered meanwhile: a server
// that answers with some of its records at a time must not make it look new.
func (s *service) forget(now time.Time) {
	maps.DeleteFunc(s.all, func(_ Endpoint, e *endpoint) bool {
		return e.left && e.inFlight == 0 && (!e.rest.resting || now.After(e.rest.until.Add(e.rest.length)))
	})
}

// settle notes how a try has ended. It is over, unless its answer is still to be read. What ends
// at an ejected endpoint tells nothing, as it may have begun before, unless it is the probe.
func (s *service) settle(c choice, v verdict, again time.Duration, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case c.probe:
		c.rest.probing = false
		s.probed(c.endpoint, now, v, again, cause)
	case v == ours || c.rest.resting:
	case v == busy:
		s.eject(c.endpoint, "endpoint is busy", func(r *rest) { r.beginUntil(now, again, s.options.Ejection, cause) })
	default:
		c.last.add(v.isFailure())
		// One that gives no connection is not there.
		if v == unsent || v == failed && (c.last.inARow() >= s.options.Failures || c.last.half()) {
			s.eject(c.endpoint, "endpoint ejected", func(r *rest) { r.begin(now, s.options.Ejection, cause) })
		}
	}
}

// probed ends the rest of an endpoint, or makes it longer.
func (s *service) probed(e *endpoint, now time.Time, v verdict, again time.Duration, cause error) {
	switch {
	case v == answered:
		e.rest.end(now)
		e.last = outcomes{}
		s.log.Info("endpoint is back", "endpoint", e.id())
	case v == busy:
		e.rest.beginUntil(now, again, s.options.Ejection, cause)
	case v.isFailure():
		e.rest.begin(now, s.options.Ejection, cause)
	}
}

// eject takes an endpoint out, if so many others stay in.
func (s *service) eject(e *endpoint, message string, begin func(*rest)) {
	if !s.mayEject() {
		return
	}
	begin(&e.rest)
	s.log.Warn(message, "endpoint", e.id(), "until", e.rest.until, "cause", e.rest.cause)
}

// mayEject reports whether one more may be ejected.
func (s *service) mayEject() bool {
	ejected := 0
	for _, e := range s.live {
		if e.rest.resting {
			ejected++
		}
	}
	return float64(ejected+1) <= s.options.MaxEjected*float64(len(s.live))
}

// release says that the request at the endpoint is over, with its answer read.
func (s *service) release(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.inFlight--
	if e.left && e.inFlight == 0 {
		e.pool.drain() // it was chosen just before it left
		s.forget(time.Now())
	}
}
