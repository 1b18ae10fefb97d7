package cli_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// listed is what programs rely on.
type listed struct {
	Projections []standing `json:"projections"`
}

type standing struct {
	Name, Kind, Stage, State               string
	Version, Segments, Position, Head, Lag int
	Owners                                 []string
	BehindSeconds                          float64 `json:"behind_seconds"`
	Failures                               []failure
	DeadLetters                            int      `json:"dead_letters"`
	FirstDeadLetter                        *failure `json:"first_dead_letter"`
}

type failure struct {
	Segment, State, Key, Type, Cause string
	Position                         int
	Event                            string `json:"event_id"`
	Since                            time.Time
}

// list returns what projections list says, by generation.
func (s *shop) list(t testing.TB) map[string]standing {
	t.Helper()
	r := s.run(t, "projections", "list", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var all listed
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &all))
	by := map[string]standing{}
	for _, one := range all.Projections {
		by[one.Name+"@"+string(rune('0'+one.Version))] = one
	}
	return by
}

func TestProjectionsListTellsWhatNobodyHasOpened(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	all := s.list(t)
	assert.Len(t, all, 7)
	assert.Equal(t, "new", all["orders@1"].State)
	assert.Equal(t, "view", all["orders@1"].Kind)
	assert.Equal(t, "handler", all["ledger@1"].Kind)
	assert.Equal(t, "relay", all["archive@1"].Kind)
	assert.Equal(t, "saga", all["greeter_sent@1"].Kind)
}

// The worker attends every twenty minutes only. Who looks is another program than who works.
func TestAHandlerThatBreaksIsNamedWithinFiveSecondsWithItsEventAndCause(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.ttl = time.Hour
	store := s.store(t)
	stop := s.works(t)
	happens(t, store, "1", placed{100})
	require.Eventually(t, func() bool { return s.list(t)["ledger@1"].Position >= 1 }, 10*time.Second, 20*time.Millisecond)

	before := time.Now()
	event := happens(t, store, "2", placed{200}, spoiled{}) // at positions 2 and 3, or behind a greeting
	var all map[string]standing
	require.Eventually(t, func() bool {
		all = s.list(t)
		return len(all["ledger@1"].Failures) == 1 && all["orders@1"].DeadLetters == 1
	}, 5*time.Second, 20*time.Millisecond)

	why := all["ledger@1"].Failures[0]
	assert.Equal(t, "waiting", all["ledger@1"].State)
	assert.EqualValues(t, event.Token.Position, why.Position)
	assert.Equal(t, "order.spoiled", why.Type)
	assert.Equal(t, "0-1023", why.Segment)
	assert.Contains(t, why.Cause, "there is no page for it")
	assert.WithinRange(t, why.Since, before, time.Now())
	assert.NotEmpty(t, why.Event)

	parked := all["orders@1"].FirstDeadLetter
	assert.Equal(t, "running", all["orders@1"].State)
	assert.Equal(t, "2", parked.Key)
	assert.EqualValues(t, event.Token.Position, parked.Position)
	assert.Equal(t, "order.spoiled", parked.Type)
	assert.Contains(t, parked.Cause, "an order of minus one piece")

	r := s.run(t, "projections", "list")
	assert.Contains(t, r.stdout, "orders@1 leaves key 2 alone at position")
	assert.Contains(t, r.stdout, "When its cause is mended: shop dead-letters retry orders --all")
	assert.Contains(t, r.stdout, "ledger@1 is waiting at position")
	assert.NotZero(t, s.reports.Load(), "the program's own hooks are called too")

	require.Equal(t, cli.ExitOK, stop().code)
	assert.Equal(t, "stopped", s.list(t)["ledger@1"].State, "and why it failed is still there")
	assert.Len(t, s.list(t)["ledger@1"].Failures, 1)
}
