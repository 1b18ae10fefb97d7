package importcmd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/straightline"
)

func TestTortureTheBundledOrdersComeToTheirFigures(t *testing.T) {
	dir := t.TempDir()
	first := finish(process(t, importArgs(dir)...))
	require.Equal(t, cli.ExitOK, first.code, first.stderr)
	s := first.summary(t)

	want, err := straightline.Compute(data.Open())
	require.NoError(t, err)
	require.NoError(t, s.agrees(want))
	assert.Equal(t, [3]int{26_732, 26_426, 306}, [3]int{s.Rows, s.AcceptedRows, s.RejectedRows})
	assert.Equal(t, [3]int64{955, 43, 185}, [3]int64{s.Orders, s.Returns, s.Adjustments})
	assert.Equal(t, [2]int64{51_536_464, 255_526}, [2]int64{s.GrossPence, s.ReturnedPence})
	assert.EqualValues(t, -214_215, s.StockMoved)
	assert.Equal(t, 18, s.Countries)
	assert.Equal(t, s.GrossPence, sum(s.Days), "the days add up to the gross")
	assert.Len(t, s.Rejected, s.RejectedRows, "each rejected row is listed")
	assert.True(t, s.ViewsEqual)

	second := finish(process(t, importArgs(dir)...))
	require.Equal(t, cli.ExitOK, second.code, second.stderr)
	again := second.summary(t)
	require.NoError(t, again.agrees(want))
	assert.Equal(t, 0, again.EventsAppended)
	assert.Equal(t, s.Rejected, again.Rejected, "the first outcomes are reported again")
}

func sum(days map[string]int64) (total int64) {
	for _, pence := range days {
		total += pence
	}
	return total
}

func TestTheJSONHasWhatProgramsRelyOn(t *testing.T) {
	orders, _ := firstRows(t, 500)
	r := shop(t.Context(), importArgs(t.TempDir(), orders)...)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)

	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &object))
	for _, key := range []string{
		"rows", "accepted_rows", "rejected_rows", "orders", "returns", "adjustments", "gross_pence", "returned_pence",
		"countries", "stock_moved", "events", "import_events_per_second", "replay_events_per_second",
	} {
		var number int64
		assert.NoError(t, json.Unmarshal(object[key], &number), "%s is %s", key, object[key])
	}
	for _, key := range []string{"rejections", "days"} {
		var numbers map[string]int64
		assert.NoError(t, json.Unmarshal(object[key], &numbers), "%s is %s", key, object[key])
		assert.NotNil(t, numbers, key)
	}
	assert.JSONEq(t, "true", string(object["views_equal"]))
	assert.NotContains(t, r.stdout, "null", "what is empty is an empty list or object")
}

func TestTheJSONOfNothingIsWhole(t *testing.T) {
	s := checked(t, t.TempDir(), file(t))
	assert.NotNil(t, s.Days)
	assert.NotNil(t, s.Rejections)
	assert.NotNil(t, s.Rejected)
}

// Goods are bought in one file and returned in another.
const (
	bought   = "1,A,lamp,5,01/12/2010 08:26,2.00,7,France"
	returned = "C2,A,lamp,-3,02/12/2010 08:26,2.00,7,France"
)

func TestTwoFilesInOneRunAreOneHistory(t *testing.T) {
	s := checked(t, t.TempDir(), file(t, bought), file(t, returned))
	assert.Equal(t, 2, s.AcceptedRows)
	assert.EqualValues(t, 600, s.ReturnedPence)
}

func TestASecondRunGoesOnWhereTheFirstEnded(t *testing.T) {
	dir := t.TempDir()
	checked(t, dir, file(t, bought))
	s := checked(t, dir, file(t, returned))
	assert.Equal(t, [2]int{1, 1}, [2]int{s.Rows, s.AcceptedRows}, "rows are of this run")
	assert.EqualValues(t, 1000, s.GrossPence, "totals are of the whole store")
	assert.EqualValues(t, 600, s.ReturnedPence)

	alone := checked(t, t.TempDir(), file(t, returned))
	assert.Equal(t, 1, alone.RejectedRows, "nobody has bought what is returned")
}

func TestTheSameFileTwiceInOneRunIsARepeat(t *testing.T) {
	orders, want := firstRows(t, 300)
	s := checked(t, t.TempDir(), orders, orders)
	assert.Equal(t, 2*want.Rows, s.Rows, "each row is accounted for each time")
	assert.Equal(t, want.Rows, s.EventsAppended)
	assert.EqualValues(t, want.Rows, s.Events)
	assert.Equal(t, want.Totals.GrossPence, s.GrossPence)
	assert.Equal(t, s.Commands, 2*s.CommandsRepeated)
}

func TestTheTextIsForPeople(t *testing.T) {
	orders, _ := firstRows(t, 500)
	r := shop(t.Context(), "import", "--check", "--dir", t.TempDir(), "--data", orders)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)

	for _, text := range []string{
		"Sales by day", "Best customers", "Most sold items", "Largest orders", "Rejected rows",
		"return_exceeds_purchases", "C536379,D,Discount", "This run", "The shop",
		"\nOK: all rows accounted for",
	} {
		assert.Contains(t, r.stdout, text)
	}
	assert.Contains(t, r.stderr, "import "+orders+": 500 rows, 9 rejected, done\n")
	assert.Contains(t, r.stderr, "replay: 500 events, ")
	for _, output := range []string{r.stdout, r.stderr} {
		assert.NotContains(t, output, "\x1b", "escape codes are for terminals")
		assert.NotContains(t, output, "\r")
	}
	for line := range strings.Lines(r.stdout) {
		if !strings.HasPrefix(line, "  log ") { // it ends in a path
			assert.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), 80, line)
		}
	}
}

func TestWhatAFileSaysCannotMoveTheCursor(t *testing.T) {
	orders := file(t, "1,A,\x1b[2Jlamp\a,5,01/12/2010 08:26,2.00,7,\x1b]0;owned\x07", "2,A,\x1b[2J,x,01/12/2010 08:26,2.00,7,France")
	r := shop(t.Context(), "import", "--dir", t.TempDir(), "--data", orders)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.NotContains(t, r.stdout, "\x1b")
	assert.NotContains(t, r.stdout, "\a")
	assert.Contains(t, r.stdout, "malformed")
}
