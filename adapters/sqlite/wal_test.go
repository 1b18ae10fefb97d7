package sqlite

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// TestTheWriteAheadLogDoesNotGrowWithoutEnd appends 8 MB while readers follow each
// other, so that SQLite by itself never finds a moment to start the log anew.
func TestTheWriteAheadLogDoesNotGrowWithoutEnd(t *testing.T) {
	store := openInternal(t)
	store.file.maxWAL, store.file.trimAt = 1<<20, 1<<20

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 6 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					readStart(t, store)
				}
			}
		})
	}
	largest := int64(0)
	for range 128 {
		_, err := store.Append(t.Context(), placed("order-1", string(make([]byte, 64<<10))))
		require.NoError(t, err)
		largest = max(largest, store.file.walSize())
	}
	close(done)
	readers.Wait()
	require.Less(t, largest, int64(8<<20), "it is 11 MB if it is never emptied")
}

func readStart(t *testing.T, store *Store) {
	for _, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{Limit: 20}) {
		if err != nil {
			t.Error(err)
			return
		}
	}
}
