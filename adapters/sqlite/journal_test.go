package sqlite_test

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// journal is what the clients know for certain, on disk before they go on: a line
// before each append and a line after each answer.
type journal struct{ file *os.File }

func openJournal(store string) (*journal, error) {
	file, err := os.OpenFile(store+".journal", os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	return &journal{file}, err
}

func (j *journal) write(kind, name string, at eventstore.Position) error {
	if _, err := fmt.Fprintf(j.file, "%s %s %d\n", kind, name, at); err != nil {
		return err
	}
	return j.file.Sync()
}

// outcomes returns every command that was tried, with the position that was
// acknowledged, 0 if no answer arrived.
func outcomes(t *testing.T, store string) map[string]eventstore.Position {
	t.Helper()
	file, err := os.Open(store + ".journal")
	require.NoError(t, err)
	defer file.Close()
	tried := map[string]eventstore.Position{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kind, name string
		var at eventstore.Position
		if _, err := fmt.Sscan(lines.Text(), &kind, &name, &at); err != nil {
			continue // the kill cut the last line: nothing was acknowledged with it
		}
		tried[name] = max(tried[name], at)
	}
	return tried
}
