package projection_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/projection"
)

// bank has accounts a to e with 10, 20, 20, 30 and 5 cents.
func bank(t *testing.T) *projection.Reader[account] {
	t.Helper()
	store, sink := memory.NewStore(), memory.NewSink()
	for n, id := range []string{"a", "b", "c", "d", "e"} {
		appendTo(t, store, id, paid{Cents: []int64{10, 20, 20, 30, 5}[n]})
	}
	require.NoError(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()))
	return projection.NewReader(sink, accounts)
}

func ids(rows []account) string {
	var all strings.Builder
	for _, row := range rows {
		all.WriteString(row.ID)
	}
	return all.String()
}

func TestGetReturnsARowOrSaysThatThereIsNone(t *testing.T) {
	reader := bank(t)
	row, err := reader.Get(t.Context(), "d")
	require.NoError(t, err)
	assert.Equal(t, account{ID: "d", Cents: 30}, row)

	_, err = reader.Get(t.Context(), "nobody")
	require.ErrorIs(t, err, projection.ErrNotFound)
	require.EqualError(t, err, `accounts: no such row: "nobody"`)

	some, err := reader.GetMany(t.Context(), "a", "nobody", "e", "a")
	require.NoError(t, err)
	assert.Equal(t, map[string]account{"a": {ID: "a", Cents: 10}, "e": {ID: "e", Cents: 5}}, some)

	none, err := reader.GetMany(t.Context())
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestAReadModelThatWasNeverBuiltIsAnError(t *testing.T) {
	reader := projection.NewReader(memory.NewSink(), accounts)
	_, err := reader.Get(t.Context(), "a")
	require.ErrorIs(t, err, projection.ErrNotBuilt)
	_, err = reader.List(t.Context(), projection.ListQuery{})
	require.ErrorIs(t, err, projection.ErrNotBuilt)
}

func TestPagesFollowTheOrderToItsEnd(t *testing.T) {
	reader := bank(t)
	for _, c := range []struct {
		list projection.ListQuery
		want string
	}{
		{projection.ListQuery{}, "abcde"},
		{projection.ListQuery{Descending: true}, "edcba"},
		{projection.ListQuery{By: "cents"}, "eabcd"},
		{projection.ListQuery{By: "cents", Descending: true}, "dcbae"},
		{projection.ListQuery{By: "name"}, "abcde"},
	} {
		for limit := range 7 {
			list, got, pages := c.list, "", 0
			list.Limit = limit
			for {
				page, err := reader.List(t.Context(), list)
				require.NoError(t, err)
				got += ids(page.Rows)
				pages++
				if page.Next == nil {
					break
				}
				list.After = page.Next
			}
			assert.Equal(t, c.want, got, "%+v", c.list)
			if limit == 5 {
				assert.Equal(t, 1, pages, "a last page that is full has no next one")
			}
		}
	}
}

func TestALimitMayBeAsLargeAsAnIntCanBe(t *testing.T) {
	page, err := bank(t).List(t.Context(), projection.ListQuery{Limit: math.MaxInt})
	require.NoError(t, err)
	assert.Equal(t, "abcde", ids(page.Rows))
	assert.Nil(t, page.Next)
}

func TestAllCanBeRangedOverTwice(t *testing.T) {
	all := bank(t).All(t.Context(), projection.ListQuery{By: "cents", Limit: 2})
	for range 2 {
		var got []account
		for row, err := range all {
			require.NoError(t, err)
			got = append(got, row)
		}
		assert.Equal(t, "eabcd", ids(got))
	}
	for row, err := range all {
		require.NoError(t, err)
		assert.Equal(t, "e", row.ID)
		break
	}
}

func TestAListThatMakesNoSenseIsAnErrorAndNoPanic(t *testing.T) {
	reader := bank(t)
	for says, list := range map[string]projection.ListQuery{
		`list accounts@1: "log" is not among its indexes; declare it in ViewOptions.Indexes`: {By: "log"},
		`"nothing" is not among its indexes`:                                                 {By: "nothing"},
		`the cursor's value is a float64, not one of "cents"`:                                {By: "cents", After: &projection.Cursor{Value: 1.0, Key: "a"}},
		`the cursor's value is a <nil>, not one of "cents"`:                                  {By: "cents", After: &projection.Cursor{Key: "a"}},
		`the cursor is of no row: text holds a NUL character`:                                {After: &projection.Cursor{Key: "a\x00"}},
		`the cursor is of no row: text is not valid UTF-8`:                                   {After: &projection.Cursor{Key: "\xff"}},
		`the cursor has a value, but the order is by key`:                                    {After: &projection.Cursor{Value: int64(1), Key: "a"}},
	} {
		_, err := reader.List(t.Context(), list)
		require.ErrorContains(t, err, says)
		errs := 0
		for _, err := range reader.All(t.Context(), list) {
			require.ErrorContains(t, err, says)
			errs++
		}
		assert.Equal(t, 1, errs)
	}
}
