package query

import (
	"context"
	"errors"
	"fmt"
)

// Missing says which part an answer lacks, and why. Its JSON is made for clients: the name and
// the reason, {"part": "shipping", "reason": "deadline"}. The error is for the log.
type Missing struct {
	// Part is the name; empty if nothing is missing.
	Part   string `json:"part"`
	Reason Reason `json:"reason"`
	// Err is what the part failed with.
	Err error `json:"-"`
}

// Reason is why a part is missing. The words are part of the contract with clients.
type Reason string

// Reasons.
const (
	// ReasonDeadline: it did not answer in time, or what it reads was not there in time. An error
	// that says so itself, by its method Timeout, counts, such as one of the network.
	ReasonDeadline Reason = "deadline"
	// ReasonError: it failed.
	ReasonError Reason = "error"
	// ReasonPanic: it panicked. The error is a [*PanicError].
	ReasonPanic Reason = "panic"
	// ReasonCancelled: a required part failed first, or the caller has left.
	ReasonCancelled Reason = "cancelled"
	// ReasonBusy: it was not asked, because too many of its kind ignore that their time is up.
	// See Composer.Strays.
	ReasonBusy Reason = "busy"
)

// PartError is the error of a composition that lacks a required part. It matches the error of
// the part.
type PartError struct{ Missing }

func (e *PartError) Error() string { return fmt.Sprintf("part %q: %v", e.Part, e.Err) }

// Unwrap returns the error of the part.
func (e *PartError) Unwrap() error { return e.Err }

// PanicError is a panic of a part, or in a [Collapse], as an error.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// why says why a part failed with err, whose context had ended with over or was nil.
func why(err, over error) Reason {
	_, panicked := errors.AsType[*PanicError](err)
	switch {
	case panicked:
		return ReasonPanic
	case errors.Is(err, errStrays):
		return ReasonBusy
	case errors.Is(over, context.Canceled):
		return ReasonCancelled
	case errors.Is(over, context.DeadlineExceeded), timedOut(err):
		return ReasonDeadline
	default:
		return ReasonError
	}
}

// timedOut reports whether it took too long, as the context's error and those of the network say.
func timedOut(err error) bool {
	timed, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timed.Timeout() || errors.Is(err, context.DeadlineExceeded)
}
