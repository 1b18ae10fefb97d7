package npm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Check returns an [ErrUnavailable] unless node_modules in the folder is what its lock says.
// npm writes a list of what it has installed when it is done: a half of it has none.
func Check(folder string) error {
	wanted, err := readLock(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	installed, err := readLock(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if err != nil {
		return fmt.Errorf("%w: run %s", ErrUnavailable, Install)
	}
	for name, want := range wanted.Packages {
		got, there := installed.Packages[name]
		// "" is our own package.json; what is optional may be for another machine.
		if name == "" || !there && want.Optional {
			continue
		}
		if got.Version != want.Version || got.Integrity != want.Integrity {
			return fmt.Errorf("%w: %s is not what package-lock.json says: run %s", ErrUnavailable, name, Install)
		}
	}
	return nil
}

// lock is what we read of a package-lock.json.
type lock struct {
	Packages map[string]struct {
		Version   string `json:"version"`
		Integrity string `json:"integrity"` // the hash of what was downloaded
		Optional  bool   `json:"optional"`
	} `json:"packages"`
}

func readLock(file string) (lock, error) {
	var l lock
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	return l, err
}
