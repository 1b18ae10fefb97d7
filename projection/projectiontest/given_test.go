package projectiontest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

type (
	paid    struct{ Cents int64 }
	renamed struct{ Name string }
)

type account struct {
	ID       string `leftfold:"key"`
	Cents    int64
	Versions []int64
	Name     string
	At       time.Time
}

var (
	accountEvents, _ = codec.NewSet(codec.Event[paid]("paid"), codec.Event[renamed]("renamed"))
	accounts         = projection.NewView("accounts", projection.ViewOptions{Version: 1},
		projection.When(func(a *account, e paid, m eventstore.Recorded) {
			if e.Cents == 0 {
				panic("nothing paid")
			}
			a.Cents += e.Cents
			a.Versions = append(a.Versions, int64(m.Version))
		}),
		projection.When(func(a *account, e renamed, _ eventstore.Recorded) { a.Name = e.Name }))
)

// recorder is a testing.TB that notes what it is told.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r) // ends the scenario, as Goexit ends a test
}

// told returns what the scenario tells its test.
func told(t testing.TB, story func(t testing.TB)) string {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		story(r)
	}()
	return strings.Join(r.said, "\n")
}

func TestAScenarioThatHoldsIsSilent(t *testing.T) {
	assert.Empty(t, told(t, func(t testing.TB) {
		scenario := projectiontest.Given(t, accounts, accountEvents)
		scenario.Rows(nil)
		scenario.
			Happened("account-ada", paid{3}, renamed{"Ada"}).
			Happened("account-bob", paid{5}).
			Happened("account-ada", paid{4}).
			Rows(map[string]account{
				"ada": {ID: "ada", Cents: 7, Name: "Ada", Versions: []int64{1, 3}},
				"bob": {ID: "bob", Cents: 5, Versions: []int64{1}},
			})
		scenario.Happened("account-bob", renamed{"Bob"}).Rows(map[string]account{
			"ada": {ID: "ada", Cents: 7, Name: "Ada", Versions: []int64{1, 3}},
			"bob": {ID: "bob", Cents: 5, Name: "Bob", Versions: []int64{1}},
		})
	}))
}

func TestAScenarioSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		story func(t testing.TB)
		says  []string
	}{
		"a row too many": {func(t testing.TB) {
			projectiontest.Given(t, accounts, accountEvents).Happened("account-ada", paid{3}).Rows(nil)
		}, []string{`row "ada" was not expected: {ID:ada Cents:3`}},
		"a missing row": {func(t testing.TB) {
			projectiontest.Given(t, accounts, accountEvents).Rows(map[string]account{"bob": {ID: "bob"}})
		}, []string{`row "bob" is missing, want {ID:bob`}},
		"another row, and all of them": {func(t testing.TB) {
			projectiontest.Given(t, accounts, accountEvents).Happened("account-ada", renamed{"Ada"}).
				Rows(map[string]account{"ada": {ID: "ada", Name: "Eve"}, "bob": {}})
		}, []string{"row \"ada\":\n got {ID:ada", "Name:Ada", "want {ID:ada", "Name:Eve", `row "bob" is missing`}},
		"an event that is not registered": {func(t testing.TB) {
			projectiontest.Given(t, accounts, accountEvents).Happened("account-ada", 7)
		}, []string{"encode int: ", "is not registered"}},
		"a fold that panics": {func(t testing.TB) {
			projectiontest.Given(t, accounts, accountEvents).Happened("account-ada", paid{}).Rows(nil)
		}, []string{"fold: event paid at position 1 (account-ada, version 1): panic: nothing paid"}},
		"a row that cannot be stored": {func(t testing.TB) {
			projectiontest.Given(t, accounts, accountEvents).Happened("account-ada", renamed{"\x00"}).Rows(nil)
		}, []string{`fold: column name of row "ada": text holds a NUL character`}},
	} {
		t.Run(name, func(t *testing.T) {
			said := told(t, c.story)
			for _, says := range c.says {
				assert.Contains(t, said, says)
			}
		})
	}
}
