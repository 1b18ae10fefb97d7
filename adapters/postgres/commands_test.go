package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/commandtest"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

// cutNode is a process that handles commands. When the connection on which its appends go is cut,
// its clients hear nothing either, and turn to another one.
func cutNode(t testing.TB, pool *pgxpool.Pool, choose func(lone bool) (fate, bool)) (*commandtest.Node, *unlucky) {
	t.Helper()
	var node *commandtest.Node
	u := newUnlucky(func(lone bool) (fate, bool) {
		f, cut := choose(lone)
		if cut {
			node.Cut()
		}
		return f, cut
	})
	store := throughProxy(t, pool, u.hook)
	node = commandtest.NewNode(store)
	return node, u
}

// A quarter of the appends' round trips is cut, before the Sync and behind the result row, and all
// who wait for an answer lose it. They repeat their command until they have one.
func TestTortureCommandsWhoseAnswersAreLost(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	var nodes []*commandtest.Node
	var hooks []*unlucky
	for range 2 {
		node, u := cutNode(t, pool, aQuarter)
		nodes, hooks = append(nodes, node), append(hooks, u)
	}
	const clients = 10
	answers, err := commandtest.AskAll(t.Context(), commandtest.Patiently(nodes...), clients, 50*eventstoretest.Scale)
	require.NoError(t, err)
	require.Len(t, answers, clients*50*eventstoretest.Scale)
	require.Empty(t, commandtest.Check(logBySQL(t, pool), answers))
	require.Empty(t, commandtest.CheckRepeats(t.Context(), openOn(t, pool, postgres.Options{}), answers))
	cuts, lost := hooks[0].cuts+hooks[1].cuts, nodes[0].Lost()+nodes[1].Lost()
	t.Logf("%s; %d connections cut, %d answers lost", commandtest.Count(answers), cuts, lost)
	require.Greater(t, lost, len(answers)/10)
}

// A client that takes a lost answer for a failure, and sends the command as another one, must be
// caught; one that repeats it must not.
func TestMutantBlindRetryOfACommandIsCaught(t *testing.T) {
	for name, c := range map[string]struct {
		dispatch func(...*commandtest.Node) commandtest.Dispatch
		caught   bool
	}{"blindly": {commandtest.Blindly, true}, "patiently": {commandtest.Patiently, false}} {
		t.Run(name, func(t *testing.T) {
			pool, left := newPool(t), 1
			node, _ := cutNode(t, pool, func(bool) (fate, bool) {
				left--
				return fate{pgproxy.Forward, pgproxy.Cut}, left >= 0 // committed, and the client saw only its row
			})
			answered, err := commandtest.Ask(t.Context(), c.dispatch(node), commandtest.Plan(0, 0))
			require.NoError(t, err)
			require.Equal(t, 2, answered.Asked)
			findings := commandtest.Check(logBySQL(t, pool), []commandtest.Answered{answered})
			require.Equal(t, c.caught, len(findings) > 0, findings)
		})
	}
}

func TestOfManyWhoClaimAValueOneGetsIt(t *testing.T) {
	require.NoError(t, commandtest.RaceForClaim(t.Context(), openOn(t, newPool(t), postgres.Options{}), 64))
}

// logBySQL reads the log without the code under test.
func logBySQL(t testing.TB, pool *pgxpool.Pool) (log []commandtest.Event) {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT position, stream_id, version, type, data FROM leftfold.events ORDER BY position")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var e commandtest.Event
		require.NoError(t, rows.Scan(&e.Position, &e.Stream, &e.Version, &e.Type, &e.Data))
		log = append(log, e)
	}
	require.NoError(t, rows.Err())
	return log
}
