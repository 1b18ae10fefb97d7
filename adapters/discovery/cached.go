package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// CachedOptions are those of [NewCached]. The zero value works.
type CachedOptions struct {
	// TTL is how long an answer is good. In its last quarter it is renewed in the
	// background when somebody asks, so that nobody waits. Default: 10 s.
	TTL time.Duration

	// MaxStale is how long beyond that an answer is still given while the resolver fails.
	// Default: 5 min. Negative: not at all.
	MaxStale time.Duration

	// Negative is how long a failure, an unknown service or an empty answer is remembered.
	// Default: 1 s.
	Negative time.Duration

	// Timeout bounds one lookup, which goes on when those who wait for it have left.
	// Default: 10 s.
	Timeout time.Duration
}

// Cached is a resolver that remembers the answers of another one. One lookup of a service
// is under way at a time, and all who need it wait for it, each as long as its own context
// lasts: a caller who leaves takes nothing away from the others.
//
// When the resolver fails, the last answer is given up to its MaxStale; who asks meanwhile does
// not wait for the resolver to fail again. That a service is unknown, or has no endpoints, is
// an answer and replaces what was there.
type Cached struct {
	next    Resolver
	options CachedOptions

	mu       sync.Mutex
	services map[string]*remembered
	closed   bool
	lookups  sync.WaitGroup
	ended    context.Context
	end      context.CancelFunc
}

// remembered is a service that somebody has asked for.
type remembered struct {
	known

	flight chan struct{} // closed when the lookup under way has ended; nil: there is none
}

// known is what lookups have said of a service.
type known struct {
	endpoints []Endpoint
	at        time.Time // when they were; zero: there are none
	err       error     // of the last lookup
	asked     time.Time // when that ended; zero: never
}

// mostServices is how many services are remembered. Names come from programs, but some of those
// let users choose.
const mostServices = 10_000

var errClosed = errors.New("the resolver is closed")

// NewCached returns a resolver that remembers the answers of next. Close it.
func NewCached(next Resolver, options CachedOptions) *Cached {
	options.TTL = cmp.Or(options.TTL, 10*time.Second)
	options.MaxStale = max(0, cmp.Or(options.MaxStale, 5*time.Minute))
	options.Negative = cmp.Or(options.Negative, time.Second)
	options.Timeout = cmp.Or(options.Timeout, 10*time.Second)
	c := &Cached{next: next, options: options, services: map[string]*remembered{}}
	c.ended, c.end = context.WithCancel(context.Background())
	return c
}

// Close ends the lookups under way and waits for them. Resolve fails from then on.
func (c *Cached) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.lookups.Wait()
}

// Resolve returns the endpoints of the service. The slice is the caller's.
func (c *Cached) Resolve(ctx context.Context, service string) ([]Endpoint, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("resolve %s: %w", service, errClosed)
	}
	s := c.remembered(service)
	now := time.Now()
	ask, wait := s.needs(now, c.options)
	if ask && s.flight == nil {
		c.look(ctx, service, s)
	}
	was, flight := s.known, s.flight
	c.mu.Unlock()
	if !wait {
		return was.answer(now, c.options)
	}
	select {
	case <-flight:
		c.mu.Lock()
		defer c.mu.Unlock()
		return s.answer(time.Now(), c.options)
	case <-ctx.Done():
		return nil, fmt.Errorf("resolve %s: %w", service, context.Cause(ctx))
	}
}

// remembered returns the service, which has not been asked for if it is new. When there is no
// room it is not kept.
func (c *Cached) remembered(service string) *remembered {
	s, there := c.services[service]
	if there {
		return s
	}
	s = &remembered{}
	if len(c.services) >= mostServices {
		maps.DeleteFunc(c.services, func(_ string, old *remembered) bool {
			return old.flight == nil && !old.usable(time.Now(), c.options)
		})
	}
	if len(c.services) < mostServices {
		c.services[service] = s
	}
	return s
}

// needs returns whether a lookup is needed now, and whether its answer is waited for.
func (k known) needs(now time.Time, o CachedOptions) (ask, wait bool) {
	age := now.Sub(k.at)
	failed := !k.asked.IsZero() && (k.err != nil || k.at.IsZero())
	switch {
	case failed && now.Sub(k.asked) < o.Negative:
		return false, false
	case !k.at.IsZero() && age < o.TTL*3/4 && !failed:
		return false, false
	case !k.at.IsZero() && age < o.TTL:
		return true, false
	default: // who has a stale answer does not wait for a resolver that fails
		return true, !(failed && k.usable(now, o))
	}
}

func (k known) usable(now time.Time, o CachedOptions) bool {
	return !k.at.IsZero() && now.Sub(k.at) < o.TTL+o.MaxStale
}

// answer is what may be given now: the endpoints, or why there are none.
func (k known) answer(now time.Time, o CachedOptions) ([]Endpoint, error) {
	if k.err != nil && !k.usable(now, o) {
		return nil, k.err
	}
	return slices.Clone(k.endpoints), nil
}

// look starts a lookup, which does not end with the context of whoever needed it first.
func (c *Cached) look(ctx context.Context, service string, s *remembered) {
	flight := make(chan struct{})
	s.flight = flight
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.options.Timeout)
	closing := context.AfterFunc(c.ended, cancel)
	c.lookups.Go(func() {
		defer cancel()
		defer closing()
		endpoints, err := c.next.Resolve(ctx, service)
		c.mu.Lock()
		defer c.mu.Unlock()
		s.learn(service, endpoints, err)
		s.flight = nil
		close(flight)
	})
}

func (k *remembered) learn(service string, endpoints []Endpoint, err error) {
	k.err, k.asked = err, time.Now()
	switch {
	case err == nil && len(endpoints) > 0:
		k.endpoints, k.at = slices.Clone(endpoints), k.asked
	case err == nil || errors.Is(err, ErrUnknownService):
		k.endpoints, k.at = nil, time.Time{}
	default:
		k.err = fmt.Errorf("resolve %s: %w", service, err)
	}
}
