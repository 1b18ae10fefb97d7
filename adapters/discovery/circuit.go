package discovery

import (
	"errors"
	"fmt"
	"time"
)

// ErrOpen says that a service is left alone because its last requests failed. See [OpenError].
var ErrOpen = errors.New("circuit open")

// OpenError is the error of a request that was not sent, because half of the last requests
// to the service failed (64, or as many as there were, at least 20), or because the
// probe after that has not ended yet. It is [ErrOpen].
type OpenError struct {
	Service string
	Until   time.Time // then a request is let through as a probe
	Cause   error     // the last failure before
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("service %s: circuit open until %s: %v", e.Service, e.Until.Format(time.RFC3339), e.Cause)
}

// Is reports whether the target is [ErrOpen]. The cause is in the past and is not unwrapped.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// enter lets a request pass, maybe as the probe, or returns an [OpenError].
func (s *service) enter(now time.Time) (probe bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.circuit.resting:
		return false, nil
	case s.circuit.due(now):
		s.circuit.probing = true
		return true, nil
	default:
		return false, &OpenError{Service: s.name, Until: s.circuit.until, Cause: s.circuit.cause}
	}
}

// leave notes how a request has ended, after all its tries. Busy is an answer: each endpoint
// rests by itself then.
func (s *service) leave(probe bool, v verdict, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if v == answered {
		s.repeats = min(mostRepeats, s.repeats+successGives)
	}
	switch {
	case probe && v == ours:
		s.circuit.probing = false
	case probe && v.isFailure():
		s.circuit.begin(now, s.options.Open, cause)
		s.log.Warn("circuit stays open", "until", s.circuit.until, "cause", cause)
	case probe:
		s.circuit.end(now)
		s.last = outcomes{}
		s.log.Info("circuit closed")
	case v != ours && !s.circuit.resting:
		s.last.add(v.isFailure())
		if v.isFailure() && s.last.half() {
			s.circuit.begin(now, s.options.Open, cause)
			s.log.Warn("circuit open", "until", s.circuit.until, "cause", cause)
		}
	}
}

// spend takes a repeat from the budget, if there is one.
func (s *service) spend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repeats < repeatCosts {
		return false
	}
	s.repeats -= repeatCosts
	return true
}
