// Package fault decides which calls of an AWS service go wrong in a test, and how. A [Plan]
// is used in two places: the in-process fake of Kinesis asks it before each call, and
// [Transport] asks it in front of an emulator.
//
// Each fault is one that the service has in production:
//
//	AnswerLost         it acted, and nobody hears of it
//	RequestLost        it never heard of the call
//	Throttled          it refuses for now
//	ExpiredIterator    a place in a shard is older than five minutes
//	Partial            it took some entries of a batch, and refused others
//	Internal           it failed, and has not acted
//	Empty              it has records, and answers without them
package fault

import (
	"math/rand/v2"
	"sync"
)

// Kind is what goes wrong with a call.
type Kind int

// The kinds of faults. What does not fit an operation does nothing to it.
const (
	None            Kind = iota
	AnswerLost           // the service acts, the answer is lost
	RequestLost          // the connection breaks before the service acts
	Throttled            // refused by a limit, not acted
	ExpiredIterator      // GetRecords only
	Partial              // PutRecords and PutEvents: the second, fourth … entry is refused
	Internal             // failed inside, not acted
	Empty                // GetRecords only: no records although there are some
)

// Plan says what goes wrong with the next call of an operation, such as "PutRecord". Calls
// run at the same time, and so must a plan be able to.
type Plan func(operation string) Kind

// Next asks the plan; a nil plan has no faults.
func (p Plan) Next(operation string) Kind {
	if p == nil {
		return None
	}
	return p(operation)
}

// Chance makes a kind of fault happen to an operation with a probability from 0 to 1.
type Chance struct {
	Operation   string
	Kind        Kind
	Probability float64
}

// Random returns a plan that throws dice. The same seed throws the same dice, in the order of
// the calls. The probabilities of one operation may add up to 1.
func Random(seed uint64, chances ...Chance) Plan {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, seed))
	return func(operation string) Kind {
		mu.Lock()
		defer mu.Unlock()
		throw := dice.Float64()
		for _, c := range chances {
			if c.Operation != operation {
				continue
			}
			if throw < c.Probability {
				return c.Kind
			}
			throw -= c.Probability
		}
		return None
	}
}

// Script returns a plan that gives each operation its faults in order, one a call, and none
// after the last.
func Script(faults map[string][]Kind) Plan {
	var mu sync.Mutex
	called := map[string]int{}
	return func(operation string) Kind {
		mu.Lock()
		defer mu.Unlock()
		at := called[operation]
		called[operation]++
		if at >= len(faults[operation]) {
			return None
		}
		return faults[operation][at]
	}
}
