package eventstoretest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Scale multiplies the size of every torture. It is 10 if the environment variable
// LEFTFOLD_TORTURE is 1, else 1.
var Scale = func() int {
	if os.Getenv("LEFTFOLD_TORTURE") == "1" {
		return 10
	}
	return 1
}()

// Options adapt the suite to a store.
type Options struct {
	// Reopen closes a store that open returned and opens the same log again, as a new
	// process would. Default: nil, the store does not outlive its process and the clauses
	// about restarts do not apply.
	Reopen func(t testing.TB, store eventstore.Store) eventstore.Store

	// Divisor divides the size of the tortures. A store that waits for a disk or a
	// network at each append wants about 10. Default: 1.
	Divisor int

	// EventBytes is what the store takes of payload and metadata of one event unless it is told
	// otherwise, where the log under it cannot take [eventstore.DefaultEventBytes].
	// Default: that.
	EventBytes int

	// Without are parts that the store is meant to be without, as the suite calls them when it skips a
	// clause. Such a clause is passed by, and says so in the log of the test. Default: none, every
	// clause that does not apply is a skipped test.
	Without []string

	// Timeout is how long one clause may take before it counts as hung; a deadlock is
	// reported by the name of its clause instead of ending the test binary.
	// Default: 2 minutes, times [Scale].
	Timeout time.Duration
}

func (o Options) filled() Options {
	if o.Divisor == 0 {
		o.Divisor = 1
	}
	if o.EventBytes == 0 {
		o.EventBytes = eventstore.DefaultEventBytes
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute * time.Duration(Scale)
	}
	return o
}

// clause is one rule of the port, as a sentence, and the check that a store obeys it.
type clause struct {
	rule  string
	check func(c *check)
}

// family is the clauses about one idea.
type family struct {
	name    string
	clauses []clause
}

var families = []family{
	{"append", appendClauses},
	{"content", contentClauses},
	{"limits", limitClauses},
	{"command", commandClauses},
	{"lost answers", lostAnswerClauses},
	{"condition", conditionClauses},
	{"races", raceClauses},
	{"stream", streamClauses},
	{"log", logClauses},
	{"windows", windowClauses},
	{"token", tokenClauses},
	{"notify", notifyClauses},
	{"delete", deleteClauses},
	{"prune", pruneClauses},
	{"portable", portableClauses},
	{"capabilities", capabilityClauses},
	{"lifetime", lifetimeClauses},
	{"restart", restartClauses},
	{"loss", lossClauses},
	{"linearizable", linearizableClauses},
}

// Run checks the stores that open returns against every clause. Each call of open
// must return an empty store, and close it by t.Cleanup; that must bear a store that
// the suite has closed already.
func Run(t *testing.T, open func(t testing.TB) eventstore.Store) {
	RunWith(t, open, Options{})
}

// RunWith is [Run] with options.
func RunWith(t *testing.T, open func(t testing.TB) eventstore.Store, o Options) {
	for _, f := range families {
		if f.name == "restart" && o.Reopen == nil {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			for _, cl := range f.clauses {
				t.Run(cl.rule, func(t *testing.T) { o.report(t, examine(t, cl, open, o)) })
			}
		})
	}
}

func (o Options) report(t *testing.T, v verdict) {
	switch {
	case v.failure != "":
		t.Fatal(v.failure)
	case slices.ContainsFunc(o.Without, func(part string) bool { return strings.HasSuffix(v.skipped, " "+part) }):
		t.Log(v.skipped)
	case v.skipped != "":
		t.Skip(v.skipped)
	}
}
