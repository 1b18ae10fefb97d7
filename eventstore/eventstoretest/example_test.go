package eventstoretest_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

// counting is a store of one's own: it counts appends and leaves the rest to another. It
// embeds an interface, so it forwards the optional power that readers should still have.
type counting struct {
	eventstore.Store
	appends *atomic.Int64
}

func (c counting) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	c.appends.Add(1)
	return c.Store.Append(ctx, request)
}

func (c counting) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	return eventstore.WaitAppended(ctx, c.Store, beyond)
}

// The whole test of an adapter whose log does not outlive the process. One whose log does
// uses RunWith and gives it a Reopen.
func ExampleRun() {
	var t *testing.T // of func TestConformance(t *testing.T)

	eventstoretest.Run(t, func(testing.TB) eventstore.Store {
		return counting{Store: memory.NewStore(), appends: new(atomic.Int64)}
	})
}
