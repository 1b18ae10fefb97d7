package cli_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// broken is a shop whose orders 2 and 3 are parked.
func broken(t testing.TB) *shop {
	t.Helper()
	s := newShop(t)
	store := s.store(t)
	happens(t, store, "1", placed{100})
	happens(t, store, "2", placed{200}, spoiled{}, paid{})
	happens(t, store, "3", spoiled{})
	s.catchesUp(t)
	return s
}

func (s *shop) deadLetters(t testing.TB) (all []failure) {
	t.Helper()
	r := s.run(t, "dead-letters", "list", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var got struct {
		DeadLetters []failure `json:"dead_letters"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	return got.DeadLetters
}

func TestADeadLetterIsRetriedWhenItsCauseIsMended(t *testing.T) {
	t.Parallel()
	s := broken(t)
	all := s.deadLetters(t)
	require.Len(t, all, 2)
	assert.Equal(t, "2", all[0].Key)
	assert.Equal(t, 3, all[0].Position)
	assert.Equal(t, "order.spoiled", all[0].Type)
	assert.Contains(t, s.run(t, "dead-letters", "list", "orders").stdout, "orders@1  key 2 at position 3, order.spoiled, since ")

	r := s.run(t, "dead-letters", "retry", "orders", "--all")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Equal(t, "0 of 2 dead letters retried.\n", r.stdout)
	assert.Contains(t, r.stderr, "key 3: ")
	assert.Contains(t, r.stderr, "shop: 2 of 2 keys stay parked: mend the cause and retry them\n")

	s.mended = true
	r = s.run(t, "dead-letters", "retry", "orders", "2")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Equal(t, "1 of 1 dead letters retried.\n", r.stdout)
	r = s.run(t, "dead-letters", "retry", "orders", "--all", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.JSONEq(t, `{"retried": [{"model": "orders", "key": "3"}]}`, r.stdout)
	assert.Empty(t, s.deadLetters(t))
	assert.Equal(t, "There are no dead letters.\n", s.run(t, "dead-letters", "list").stdout)
	for _, row := range s.rows(t) {
		assert.Equal(t, row.ID == "2", row.Paid, "what came behind the dead letter is applied: %s", row.ID)
	}
}

func TestADeadLetterIsSkippedIfSomebodySaysYes(t *testing.T) {
	t.Parallel()
	s := broken(t)
	r := s.run(t, "dead-letters", "skip", "orders", "2")
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Contains(t, r.stderr, "nothing was skipped")
	require.Len(t, s.deadLetters(t), 2)
	r = s.run(t, "dead-letters", "skip", "orders", "2", "--yes")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Equal(t, "1 of 1 dead letters skipped.\n", r.stdout)
	require.Len(t, s.deadLetters(t), 1)
	for _, row := range s.rows(t) {
		assert.False(t, row.Paid, row.ID)
	}
}

func TestDeadLettersSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := broken(t)
	for _, c := range []struct {
		code int
		says string
		line []string
	}{
		{cli.ExitUsage, "want a name and a key of dead-letters list, or a name and --all", []string{"retry"}},
		{cli.ExitUsage, "want a name and a key of dead-letters list, or a name and --all", []string{"retry", "orders"}},
		{cli.ExitUsage, "want a name and a key of dead-letters list, or a name and --all", []string{"skip", "orders", "2", "--all"}},
		{cli.ExitFailed, `there is no projection "order": projections list has their names`, []string{"retry", "order", "2"}},
		{cli.ExitFailed, `key "7" of orders is not parked: dead-letters list orders has those that are`, []string{"retry", "orders", "7"}},
		{cli.ExitUsage, `unknown argument "b"`, []string{"list", "a", "b"}},
	} {
		r := s.run(t, append([]string{"dead-letters"}, c.line...)...)
		assert.Equal(t, c.code, r.code, c.line)
		assert.Contains(t, r.stderr, c.says)
		assert.Empty(t, r.stdout)
	}
}
