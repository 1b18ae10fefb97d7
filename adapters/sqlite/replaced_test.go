package sqlite

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// What happens to a file while it is open, such as a restore by somebody who forgot to
// stop the program.
var replacements = map[string]func(t *testing.T, path string){
	"removed": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
	"replaced by another store's": func(t *testing.T, path string) {
		other := filepath.Join(t.TempDir(), "other.db")
		store, err := Open(t.Context(), other, Options{})
		require.NoError(t, err)
		_, err = store.Append(t.Context(), placed("order-1", "of another log"))
		require.NoError(t, err)
		require.NoError(t, store.Close(t.Context()))
		require.NoError(t, os.Rename(other, path))
	},
}

func TestAFileThatWasReplacedTakesNoAppend(t *testing.T) {
	for name, replace := range replacements {
		t.Run(name, func(t *testing.T) {
			store := openInternal(t)
			_, err := store.Append(t.Context(), placed("order-1", "before"))
			require.NoError(t, err)
			replace(t, store.file.path)
			_, err = store.Append(t.Context(), placed("order-1", "lost with the file"))
			require.ErrorIs(t, err, ErrReplaced)
			require.ErrorContains(t, err, store.file.path)
		})
	}
}

// The connections of a pool are opened when they are needed, so some would be opened
// after the file was replaced.
func TestReadersDoNotMixTwoFiles(t *testing.T) {
	for name, replace := range replacements {
		t.Run(name, func(t *testing.T) {
			store := openInternal(t)
			want, err := store.Append(t.Context(), placed("order-1", "before"))
			require.NoError(t, err)
			require.True(t, store.file.truncateWAL(), "a log left beside the new file would belong to the old one")
			replace(t, store.file.path)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 50 {
						head, err := store.Head(t.Context())
						if err == nil && head != want.Token {
							t.Errorf("the head of another log: %s", head)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
