package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/eventstore"
)

func TestAFileSystemThatDoesNotKeepAFileIsFound(t *testing.T) {
	t.Parallel()
	assert.Equal(t, checkup.Warning, onFileSystem(0x6969).Level)
	assert.Contains(t, onFileSystem(0x6969).Says, "NFS")
	assert.Equal(t, checkup.OK, onFileSystem(0xef53).Level, "ext4")
	dir := filepath.Join("/dev/shm", "leftfold-examine-"+eventstore.NewEventID().String())
	err := os.Mkdir(dir, 0o700)
	if err != nil && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip("there is no /dev/shm here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "shop.db")
	store, err := Open(t.Context(), path, Options{})
	require.NoError(t, err)
	require.NoError(t, store.Close(context.Background()))
	finds(t, examined(t, path)["file system"], checkup.Warning, "tmpfs")
}

func TestADiskThatIsAlmostFullIsFound(t *testing.T) {
	t.Parallel()
	assert.Equal(t, checkup.Failed, freeDisk(63<<20).Level)
	assert.Equal(t, checkup.Warning, freeDisk(64<<20).Level)
	assert.Equal(t, checkup.OK, freeDisk(1<<30).Level)
}
