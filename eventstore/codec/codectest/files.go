package codectest

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
)

// file is a golden payload.
type file struct {
	path    string
	name    string // of the event type
	version int
	content []byte
}

// order.placed.v2.gift.json: the name may have dots, what comes behind the version has none.
var fileName = regexp.MustCompile(`^(.+)\.v([0-9]+)(\.[^.]+)?\.(json|bin)$`)

// files returns the golden payloads of a directory, which need not be there yet.
func files(t testing.TB, dir string) (all []file) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		parts := fileName.FindStringSubmatch(entry.Name())
		if parts == nil {
			if filepath.Ext(path) != ".decoded" {
				t.Errorf("%s is not named as a golden payload, such as order.placed.v2.json", path)
			}
			continue
		}
		version, err := strconv.Atoi(parts[2])
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		all = append(all, file{path, parts[1], version, payload(path, content)})
	}
	return all
}

func (f file) decodedPath() string {
	return strings.TrimSuffix(f.path, filepath.Ext(f.path)) + ".decoded"
}

// recorded is the payload as an event in a log.
func (f file) recorded() eventstore.Recorded {
	return eventstore.Recorded{
		EventData: eventstore.EventData{Type: f.name, SchemaVersion: f.version, Data: f.content},
		Stream:    "golden-1", Version: 1, Position: 1,
	}
}
