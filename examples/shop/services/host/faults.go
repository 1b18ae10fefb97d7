package host

import (
	"context"
	"errors"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
)

// Faults are the switches by which a service is made to fail. Set them at any time. The zero value has none set.
type Faults struct {
	mu      sync.Mutex
	now     SetFaults
	changed chan struct{} // closed when they are set again; nil: nobody waits for that
}

// SetFaults sets all switches of a service: the command faults.set.
type SetFaults struct {
	SlowMillis     int64    `json:"slowMillis"`     // how long each request waits
	DeclineOver    int64    `json:"declineOver"`    // payments of more pence are declined; 0: none
	DeclinePercent int64    `json:"declinePercent"` // so many of 100 orders are declined, always the same ones
	NobodyGoesTo   []string `json:"nobodyGoesTo"`   // countries
}

// Validate implements command.Validator.
func (s SetFaults) Validate() error {
	if s.SlowMillis < 0 || s.DeclineOver < 0 || s.DeclinePercent < 0 || s.DeclinePercent > 100 {
		return errors.New("a fault is no less than nothing, and a percentage no more than 100")
	}
	return nil
}

// KillMe ends the service as kill -9 does: the command faults.kill.
type KillMe struct{}

// Set sets the switches. What waits because the service is slow waits as long as it is slow now.
func (f *Faults) Set(s SetFaults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = s
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *Faults) get() SetFaults {
	set, _ := f.watch()
	return set
}

func (f *Faults) watch() (now SetFaults, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.now, f.changed
}

// Declines is why a payment is declined; empty: it is not.
func (f *Faults) Declines(o api.Order) (reason string) {
	set := f.get()
	switch {
	case set.DeclineOver > 0 && o.Pence() > set.DeclineOver:
		return "the card is not good for so much"
	case percentile(o.ID) < set.DeclinePercent:
		return "the bank says no"
	}
	return ""
}

// NobodyGoes reports whether there is no way to a country.
func (f *Faults) NobodyGoes(country string) bool {
	return slices.Contains(f.get().NobodyGoesTo, country)
}

// percentile is a number below 100 that is always the same for the id.
func percentile(id string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int64(h.Sum32() % 100)
}

// slow holds each request up, but those that set the switches.
func (f *Faults) slow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/commands/faults.") && f.wait(r.Context()) != nil {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// wait returns when a request has waited long enough.
func (f *Faults) wait(ctx context.Context) error {
	for came := time.Now(); ; {
		set, changed := f.watch()
		rest := time.Until(came.Add(time.Duration(set.SlowMillis) * time.Millisecond))
		if rest <= 0 {
			return nil
		}
		select {
		case <-time.After(rest):
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// admin has the bus handle the switches.
func (f *Faults) admin(bus *command.Bus, kill func()) {
	command.Handle(bus, "faults.set", func(_ context.Context, c SetFaults) (eventstore.Receipt, error) {
		f.Set(c)
		return eventstore.Receipt{}, nil
	})
	command.Handle(bus, "faults.kill", func(context.Context, KillMe) (eventstore.Receipt, error) {
		kill()
		return eventstore.Receipt{}, nil
	})
}
