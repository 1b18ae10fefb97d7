package postgres

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// A loop that ends early does not wait for the page after next: its query is cancelled, and
// nothing is left running. A page that is almost there is waited for, which keeps its connection.
func TestALoopThatEndsEarlyGivesUpThePageThatIsBeingFetched(t *testing.T) {
	for takes, cancelled := range map[time.Duration]bool{abandonedPatience / 2: false, time.Hour: true} {
		synctest.Test(t, func(t *testing.T) {
			var failed error
			next := func(ctx context.Context, _ resume) (page, error) {
				select {
				case <-time.After(takes):
				case <-ctx.Done():
					failed = ctx.Err()
				}
				return page{last: true}, failed
			}
			start := time.Now()
			for range (reader{ahead: true}).paged(t.Context(), page{events: make([]eventstore.Recorded, 2)}, 0, next) {
				break
			}
			require.LessOrEqual(t, time.Since(start), abandonedPatience)
			if cancelled {
				require.ErrorIs(t, failed, context.Canceled)
			} else {
				require.NoError(t, failed)
			}
		})
	}
}
