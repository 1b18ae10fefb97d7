package aggregate

// RefusedError says that a decision was made, and that it was a refusal: the error is the
// decision's own, nothing failed. It reads as that error. A caller that must tell a refusal
// from a failure, such as an HTTP adapter, finds it with errors.As.
type RefusedError struct {
	Err error
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the decision's error.
func (e *RefusedError) Unwrap() error { return e.Err }
