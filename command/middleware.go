package command

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Validate refuses commands whose own Validate() error says so, with an error that
// wraps [ErrInvalidCommand] and theirs. Commands without that method pass.
func Validate() Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
			if v, ok := cmd.(interface{ Validate() error }); ok {
				if err := v.Validate(); err != nil {
					return eventstore.Receipt{}, fmt.Errorf("%w: %w", ErrInvalidCommand, err)
				}
			}
			return next(ctx, cmd)
		}
	}
}

// Authorize refuses the commands that allow returns an error for, with a [ForbiddenError]. The
// principal is what the caller of [Bus.Dispatch] gave; empty if it gave none.
func Authorize(allow func(ctx context.Context, principal, name string, cmd any) error) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
			info, _ := InfoFrom(ctx)
			if err := allow(ctx, info.Principal, info.Name, cmd); err != nil {
				return eventstore.Receipt{}, &ForbiddenError{Principal: info.Principal, Err: err}
			}
			return next(ctx, cmd)
		}
	}
}

// Timeout ends the handler's context after d, at once if d is not positive. Outside of
// [Retry] it bounds all tries together, inside each one.
func Timeout(d time.Duration) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return next(ctx, cmd)
		}
	}
}

// Log writes one record for each command: at level Info with the receipt, at level Warn
// with the error. Payloads are not logged; they are the users' data. The text of an error
// is logged, so keep them out of errors too.
func Log(logger *slog.Logger) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
			start := time.Now()
			receipt, err := next(ctx, cmd)
			info, _ := InfoFrom(ctx)
			with := logger.With("command", info.Name, "id", info.ID, "principal", info.Principal, "correlation", info.Correlation, "took", time.Since(start))
			if err != nil {
				with.WarnContext(ctx, "command failed", "error", err)
				return receipt, err
			}
			with.InfoContext(ctx, "command handled", "position", int64(receipt.Token.Position), "repeated", receipt.Repeated)
			return receipt, nil
		}
	}
}

// Recover turns a panic of what it wraps into a [PanicError], so that one command cannot
// end the process. Appends made before the panic stand; under an id a repeat finds them.
func Recover() Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (receipt eventstore.Receipt, err error) {
			defer func() {
				if p := recover(); p != nil {
					receipt, err = eventstore.Receipt{}, &PanicError{Value: p, Stack: debug.Stack()}
				}
			}()
			return next(ctx, cmd)
		}
	}
}
