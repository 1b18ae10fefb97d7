package projectiontest

import (
	"context"
	"testing"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func TestChurn(t *testing.T) {
	RunChurn(t, Parts{memory.NewStore(), memory.NewSink()}, Churn{Every: 200 * time.Millisecond})
}

// grasping keeps the leases of a worker that leaves, for good.
type grasping struct{ subscription.Leases }

func (l grasping) Release(context.Context, subscription.WorkerID, subscription.Checkpoint) error {
	return nil
}

func (l grasping) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	return l.Leases.Attend(ctx, worker, max(ttl, time.Hour), reports)
}

func TestChurnCatchesAWorkerThatKeepsItsLeases(t *testing.T) {
	sink := leasing{mutant{memory.NewSink()}, func(_ projection.Sink, l subscription.Leases) subscription.Leases { return grasping{l} }}
	_, err := CheckChurn(t.Context(), Parts{memory.NewStore(), sink}, Churn{Every: 200 * time.Millisecond, Patience: 3 * time.Second})
	if err := is("churn", err, errStandstill); err != nil {
		t.Fatal(err)
	}
	t.Log(err)
}
