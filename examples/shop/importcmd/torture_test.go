package importcmd

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/straightline"
)

// phase is what a run was doing when it was killed.
type phase int

const (
	startup   phase = iota // nothing printed yet
	repeating              // importing rows that had been imported before
	importing              // importing new rows
	answering              // the import is done
	replaying
	phases
)

func (p phase) String() string {
	return [...]string{"starting", "repeating", "importing", "answering", "replaying"}[p]
}

// follows returns the phase that a line on stderr says has begun.
func (p phase) follows(line string, fresh bool) phase {
	switch {
	case strings.HasSuffix(line, "going on from there"), fresh && strings.HasPrefix(line, "import ") && strings.HasSuffix(line, ": started"):
		return importing
	case strings.HasPrefix(line, "import ") && strings.HasSuffix(line, ": started"):
		return repeating
	case strings.HasPrefix(line, "import ") && strings.HasSuffix(line, "done"):
		return answering
	case line == "replay: started":
		return replaying
	}
	return p
}

// killed runs the import of the bundled orders, waits until it has come to a phase and
// then for a random moment, kills it, and returns the phase that it was in. A run that
// is never in the phase is killed in the next one. In a fresh directory there are no
// rows to repeat.
func killed(t *testing.T, dir string, fresh bool, in phase, after time.Duration) (phase, error) {
	t.Helper()
	cmd := process(t, importArgs(dir)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	reached := make(chan struct{})
	last := make(chan phase)
	go func() {
		now := startup
		waiting := true
		for lines := bufio.NewScanner(stderr); ; {
			if waiting && now >= in {
				waiting = false
				close(reached)
			}
			if !lines.Scan() {
				break
			}
			now = now.follows(lines.Text(), fresh)
		}
		if waiting {
			close(reached)
		}
		last <- now
	}()
	<-reached
	moment := time.NewTimer(after)
	defer moment.Stop()
	<-moment.C
	_ = cmd.Process.Kill() // it may have ended by itself
	was := <-last
	return was, cmd.Wait()
}

// Kill -9 of the whole program, again and again on one directory. That the page cache
// survives it is granted; adapters/sqlite checks the fsync.
func TestTortureKilledImport(t *testing.T) {
	kills := 10
	if os.Getenv("LEFTFOLD_TORTURE") == "1" {
		kills = 50
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)

	dir := t.TempDir()
	var hits [phases]int
	for n := range kills {
		in, most := plan(n, kills)
		after := time.Duration(random.Int64N(int64(most)))
		was, err := killed(t, dir, hits[importing] == 0, in, after)
		if err == nil {
			t.Logf("kill %d came too late: the run had ended", n+1)
			continue
		}
		require.ErrorContains(t, err, "killed", "a run after kill -9 failed by itself")
		t.Logf("kill %d: %v, %v after %v", n+1, was, after.Round(time.Millisecond), in)
		hits[was]++
	}
	t.Logf("killed while: %v", counted(hits))
	if hits[importing] == 0 || hits[replaying] == 0 {
		t.Fatalf("not tested: no kill hit the import, or none the replay: %v", counted(hits))
	}

	want, err := straightline.Compute(data.Open())
	require.NoError(t, err)
	end := finish(process(t, importArgs(dir)...))
	require.Equal(t, cli.ExitOK, end.code, end.stderr)
	require.NoError(t, end.summary(t).agrees(want), "lost or duplicated")
	once := finish(process(t, importArgs(dir)...))
	require.Equal(t, cli.ExitOK, once.code, once.stderr)
	require.NoError(t, once.summary(t).agrees(want))
	assert.Equal(t, 0, once.summary(t).EventsAppended)
}

// plan says where the n-th kill goes: the import first, for it ends for good once it is
// through; then the replay and what is before it; and every fifth goes to the start.
func plan(n, kills int) (in phase, most time.Duration) {
	switch {
	case n%5 == 4:
		return startup, 20 * time.Millisecond
	case n < kills*7/10:
		return importing, 600 * time.Millisecond
	case n%6 == 0:
		return answering, 100 * time.Millisecond
	default:
		return replaying, 600 * time.Millisecond
	}
}

func counted(hits [phases]int) (text string) {
	for p, n := range hits {
		text += fmt.Sprintf("%v %d  ", phase(p), n)
	}
	return text
}

// The torture is only worth something if its verdict fails on what it looks for.
func TestALostOrDuplicatedRowFailsTheTorturesVerdict(t *testing.T) {
	orders, want := firstRows(t, 100)
	dir := t.TempDir()
	require.NoError(t, checked(t, dir, orders).agrees(want))

	more := want
	more.Rows++
	more.Accepted++
	assert.Error(t, checked(t, dir, orders).agrees(more), "a row is missing")

	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "shop.db"), sqlite.Options{})
	require.NoError(t, err)
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Limit: 1})
	require.NoError(t, err)
	for event, err := range read.Events() {
		require.NoError(t, err)
		again := eventstore.EventData{Type: event.Type, Data: event.Data, Tags: event.Tags}
		_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: event.Stream, Events: []eventstore.EventData{again}}}})
		require.NoError(t, err)
	}
	require.NoError(t, store.Close(t.Context()))
	assert.Error(t, checked(t, dir, orders).agrees(want), "an event is there twice")
}
