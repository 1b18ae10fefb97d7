package discovery

import (
	"math/rand/v2"
	"slices"
	"time"
)

// choice is where a try goes.
type choice struct {
	*endpoint

	probe bool // whether an ejected endpoint is back depends on it
}

// pick chooses an endpoint for a request and counts the request as under way there. It
// says no if there is none, or none but those already tried.
//
// Of those with the lowest priority two are drawn by weight, and the one with less under
// way for its weight is taken ("power of two choices"): as even as one can be without
// knowing everything, and without all callers running to the same one. An ejected endpoint
// whose time is up goes first, for one request. When all are ejected, all are used.
func (s *service) pick(now time.Time, tried []*endpoint, mayRepeat bool) (choice, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var usable []*endpoint
	for _, e := range s.live {
		if !e.rest.resting && !slices.Contains(tried, e) {
			usable = append(usable, e)
		}
	}
	if len(usable) == 0 && len(tried) == 0 {
		usable = s.live
	}
	usable = lowestPriority(usable)
	chosen := choice{s.probe(now, tried, usable, mayRepeat), true}
	if chosen.endpoint == nil {
		chosen = choice{twoChoices(usable, rand.Float64), false}
	}
	if chosen.endpoint == nil {
		return choice{}, false
	}
	chosen.inFlight++
	return chosen, true
}

// probe returns an ejected endpoint whose time is up, if those that are usable are not
// preferred to it. A request that may not be repeated is the probe only if for a whole
// pause no other one came.
func (s *service) probe(now time.Time, tried, usable []*endpoint, mayRepeat bool) *endpoint {
	for _, e := range s.live {
		at := now
		if !mayRepeat {
			at = now.Add(-e.rest.length)
		}
		if !e.rest.due(at) || slices.Contains(tried, e) || len(usable) > 0 && usable[0].Priority < e.Priority {
			continue
		}
		e.rest.probing = true
		return e
	}
	return nil
}

func lowestPriority(endpoints []*endpoint) []*endpoint {
	if len(endpoints) == 0 {
		return nil
	}
	lowest := slices.MinFunc(endpoints, func(a, b *endpoint) int { return int(a.Priority) - int(b.Priority) }).Priority
	return slices.DeleteFunc(slices.Clone(endpoints), func(e *endpoint) bool { return e.Priority != lowest })
}

// twoChoices draws two endpoints and returns the less loaded one; the first if they are equal,
// so that without load the weights decide.
func twoChoices(endpoints []*endpoint, random func() float64) *endpoint {
	switch len(endpoints) {
	case 0:
		return nil
	case 1:
		return endpoints[0]
	}
	weights := weightsOf(endpoints)
	i := draw(weights, random())
	load := float64(endpoints[i].inFlight) / weights[i]
	rest := slices.Clone(weights)
	rest[i] = 0
	j := draw(rest, random())
	if float64(endpoints[j].inFlight)/weights[j] < load {
		return endpoints[j]
	}
	return endpoints[i]
}

// weightsOf returns weights above zero: 1 for all if none has any, and next to nothing for
// those without one beside others (RFC 2782).
func weightsOf(endpoints []*endpoint) []float64 {
	weights := make([]float64, len(endpoints))
	none := !slices.ContainsFunc(endpoints, func(e *endpoint) bool { return e.Weight > 0 })
	for i, e := range endpoints {
		switch {
		case none:
			weights[i] = 1
		case e.Weight == 0:
			weights[i] = .01
		default:
			weights[i] = float64(e.Weight)
		}
	}
	return weights
}

// draw returns an index with a probability in proportion to its weight; at is in [0, 1).
func draw(weights []float64, at float64) int {
	sum := 0.
	for _, w := range weights {
		sum += w
	}
	at *= sum
	last := 0
	for i, w := range weights {
		if w == 0 {
			continue
		}
		if at < w {
			return i
		}
		at -= w
		last = i
	}
	return last // rounding
}
