package saga

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/aggregate"
)

// ErrNotStuck says that an instance need not be resumed: it has ended, goes on by itself, or
// never began.
var ErrNotStuck = errors.New("the instance is not stuck")

// Resume has a stuck instance try again what it is stuck with, with as many attempts as at first:
// after the cause is mended. The note is kept with the instance, for people. When Resume has
// returned nil the request is durable, and a worker dispatches it. An instance that is not stuck is
// [ErrNotStuck].
func (t *Type[S]) Resume(ctx context.Context, store aggregate.Store, id, note string) error {
	now := time.Now().UTC()
	_, err := aggregate.NewRepository(store, t.records).Execute(ctx, id, func(in instance[S]) ([]record, error) {
		return t.decide(t.Stream(id), in, resumed{Note: note, At: now})
	})
	if errors.Is(err, errNothing) {
		err = ErrNotStuck
	}
	if err != nil {
		return fmt.Errorf("resume %s: %w", t.Stream(id), err)
	}
	return nil
}
