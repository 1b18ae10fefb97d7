// Package checkup is how the adapters tell whether a server, a file and a role are fit for what they shall
// keep, and what to do where they are not. Each adapter has a function Examine that returns findings;
// leftfold doctor prints them.
//
// To examine changes nothing, and takes no lock that an append waits for. What could not be looked at is never
// called in order: a question that failed is [Unknown].
package checkup

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Level is how a finding is.
type Level string

// The levels, the worse the further down.
const (
	OK      Level = "ok"
	Warning Level = "warning" // it works, until something happens that the finding tells
	Unknown Level = "unknown" // it could not be found out
	Failed  Level = "failed"  // it does not work, or events or read models may be lost
)

// Finding is one thing that was looked at.
type Finding struct {
	// Check names what was looked at, in the same words each time.
	Check string `json:"check"`
	Level Level  `json:"level"`
	// Says is what was found.
	Says string `json:"says"`
	// Advice is what to do; empty if nothing is to be done.
	Advice string `json:"advice,omitempty"`
}

// Fine is a finding that all is well.
func Fine(check, says string, args ...any) Finding {
	return Finding{Check: check, Level: OK, Says: fmt.Sprintf(says, args...)}
}

// Warn is a [Warning].
func Warn(check, advice, says string, args ...any) Finding {
	return Finding{Check: check, Level: Warning, Says: fmt.Sprintf(says, args...), Advice: advice}
}

// Fail is a finding that has [Failed].
func Fail(check, advice, says string, args ...any) Finding {
	return Finding{Check: check, Level: Failed, Says: fmt.Sprintf(says, args...), Advice: advice}
}

// Unsure is a finding that is [Unknown].
func Unsure(check, advice, says string, args ...any) Finding {
	return Finding{Check: check, Level: Unknown, Says: fmt.Sprintf(says, args...), Advice: advice}
}

// Ask makes a finding of a question: one that failed is [Unknown].
func Ask(check string, question func() (Finding, error)) Finding {
	found, err := question()
	if err != nil {
		return Unsure(check, "mend what kept it from being looked at, and look again", "%v", err)
	}
	found.Check = check
	return found
}

// MaxSkew is by how much a clock may differ from ours before that is a warning.
const MaxSkew = time.Second

// Clock compares the clock of a server with that of this machine. now asks the server.
func Clock(ctx context.Context, now func(ctx context.Context) (time.Time, error)) Finding {
	return Ask("clock", func() (Finding, error) {
		before := time.Now()
		there, err := now(ctx)
		if err != nil {
			return Finding{}, err
		}
		return skew(there, before, time.Now()), nil
	})
}

// skew judges a time that a server told between two moments.
func skew(there, before, after time.Time) Finding {
	var off time.Duration
	switch {
	case there.Before(before):
		off = there.Sub(before)
	case there.After(after):
		off = there.Sub(after)
	}
	if off.Abs() < MaxSkew {
		return Fine("clock", "it is within %s of this machine's", MaxSkew)
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	return Warn("clock", "synchronise both clocks, by NTP: no order depends on them, but the times of events and how far behind things seem do",
		"it is %s %s this machine's", off.Abs().Round(time.Millisecond), way)
}

// Worst returns the worst level among findings.
func Worst(all []Finding) Level {
	worst := OK
	for _, f := range all {
		if slices.Index(levels, f.Level) > slices.Index(levels, worst) {
			worst = f.Level
		}
	}
	return worst
}

var levels = []Level{OK, Warning, Unknown, Failed}
