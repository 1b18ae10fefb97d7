package saga

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

func (r Retry) orDefault() Retry {
	r.First = cmp.Or(r.First, time.Second)
	r.Most = cmp.Or(r.Most, 5*time.Minute)
	r.Attempts = cmp.Or(r.Attempts, 15)
	return r
}

func (r Retry) check() error {
	if r.First < 0 || r.Most < r.First || r.Most > maxTimeout || r.Attempts < 0 {
		return errors.New("Retry wants 0 < First <= Most, and Attempts above 0")
	}
	return nil
}

// pause returns how long to wait after so many tries that failed. Its jitter is made of the
// command and the attempt, so that a decision made again is the same.
func (r Retry) pause(command string, attempt, tries int) time.Duration {
	pause := r.First
	for n := 1; n < tries && pause < r.Most; n++ {
		pause *= 2
	}
	pause = min(pause, r.Most)
	id := eventstore.NewCommandID(command, strconv.Itoa(attempt))
	return pause - pause/512*time.Duration(id[0])
}
