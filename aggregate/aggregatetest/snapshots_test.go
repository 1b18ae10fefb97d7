package aggregatetest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
)

// flawedSnapshots is a right and naive store of snapshots; each bug changes it in one place.
type flawedSnapshots struct {
	bug string

	mu   sync.Mutex
	kept map[aggregate.SnapshotKey]aggregate.Snapshot
	puts int
	put  sync.Cond
	tore bool
}

func (f *flawedSnapshots) key(key aggregate.SnapshotKey) aggregate.SnapshotKey {
	switch f.bug {
	case "shapes share a snapshot":
		key.Shape = aggregate.Shape{}
	case "stores share a snapshot":
		key.Store = [16]byte{}
	case "streams are compared without case":
		key.Stream = key.Stream[:0] + "o" + key.Stream[1:]
	}
	return key
}

func (f *flawedSnapshots) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (aggregate.Snapshot, bool, error) {
	if f.bug != "contexts are ignored" && ctx.Err() != nil {
		return aggregate.Snapshot{}, false, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	snapshot, found := f.kept[f.key(key)]
	if f.bug == "the state is read after the rest" && f.puts > 0 && !f.tore {
		// The first one who finds anything waits for the next put. It comes: all others have found
		// nothing yet, so they have more to put.
		f.tore = true
		for before := f.puts; f.puts == before; {
			f.put.Wait()
		}
		snapshot.State = f.kept[f.key(key)].State
	}
	if f.bug != "the caller gets our bytes" {
		snapshot.State = bytes.Clone(snapshot.State)
	}
	return snapshot, found || f.bug == "a missing one is an empty one", nil
}

func (f *flawedSnapshots) PutSnapshot(ctx context.Context, key aggregate.SnapshotKey, snapshot aggregate.Snapshot) error {
	if f.bug != "contexts are ignored" && ctx.Err() != nil {
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key = f.key(key)
	if f.bug == "the newest stays" && f.kept[key].Version > snapshot.Version {
		return nil
	}
	switch f.bug {
	case "we keep the caller's bytes":
	case "the state is text":
		snapshot.State = bytes.ToValidUTF8(snapshot.State, []byte("?"))
	default:
		snapshot.State = bytes.Clone(snapshot.State)
	}
	f.kept[key] = snapshot
	f.puts++
	f.put.Broadcast()
	return nil
}

func checkFlawed(t *testing.T, bug, rule string) (err error) {
	t.Helper()
	for _, c := range snapshotClauses {
		if strings.Contains(c.rule, rule) {
			f := &flawedSnapshots{bug: bug, kept: map[aggregate.SnapshotKey]aggregate.Snapshot{}}
			f.put.L = &f.mu
			return c.check(t.Context(), f)
		}
	}
	t.Fatalf("there is no clause %q", rule)
	return nil
}

// Each clause finds the bug that it is there for, and nothing without it.
func TestEveryClauseOfSnapshotsFindsItsBugs(t *testing.T) {
	bugs := map[string]string{
		"a missing one is an empty one":     "a key without",
		"the state is text":                 "byte for byte",
		"the newest stays":                  "takes the place",
		"shapes share a snapshot":           "each store, stream and shape",
		"stores share a snapshot":           "each store, stream and shape",
		"streams are compared without case": "each store, stream and shape",
		"we keep the caller's bytes":        "the caller may change",
		"the caller gets our bytes":         "the caller may change",
		"contexts are ignored":              "a context that is over",
		"the state is read after the rest":  "whole",
	}
	proven := map[string]bool{}
	for bug, rule := range bugs {
		require.NoError(t, checkFlawed(t, "", rule))
		assert.Error(t, checkFlawed(t, bug, rule), "%s: not found by %q", bug, rule)
		proven[rule] = true
	}
	assert.Len(t, proven, len(snapshotClauses))
}
