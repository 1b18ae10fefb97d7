package projection_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

type base struct{ N int }

// stamp has lost the methods of a time; JSON would write {}.
type stamp time.Time

func define[R any](name string, options projection.ViewOptions) func() {
	return func() {
		projection.NewView(name, options, projection.When(func(*R, paid, eventstore.Recorded) {}))
	}
}

func withRules(rules ...projection.Rule[account]) func() {
	return func() { projection.NewView("v", projection.ViewOptions{Version: 1}, rules...) }
}

func TestAMistakeInAViewIsNamed(t *testing.T) {
	v1 := projection.ViewOptions{Version: 1}
	indexed := func(names ...string) projection.ViewOptions {
		return projection.ViewOptions{Version: 1, Indexes: names}
	}
	key := func(paid, eventstore.Recorded) string { return "" }
	for says, mistake := range map[string]func(){
		`projection.NewView(""): the name "" is not usable: want a lower-case letter`:    define[account]("", v1),
		`the name "Accounts" is not usable`:                                              define[account]("Accounts", v1),
		`the name "a-b" is not usable`:                                                   define[account]("a-b", v1),
		`is not usable: want a lower-case letter, then letters, digits or _, at most 48`: define[account](strings.Repeat("a", 49), v1),
		`projection.NewView("v"): the version is 0: want 1 or more`:                      define[account]("v", projection.ViewOptions{}),
		`the row type string is not a struct`:                                            define[string]("v", v1),
		`the row type *projection_test.account is not a struct`:                          define[*account]("v", v1),
		`has no columns: they are its exported fields, and the key is none`: define[struct {
			ID string `leftfold:"key"`
		}]("v", v1),
		`field ID of`: define[struct {
			ID int `leftfold:"key"`
			N  int
		}]("v", v1),
		`there is a key already`: define[struct {
			ID, Other string `leftfold:"key"`
		}]("v", v1),
		`the column name "key" is reserved; tag the field`: define[struct{ Key string }]("v", v1),
		`the column name "xmin" is reserved by Postgres`:   define[struct{ Xmin string }]("v", v1),
		`has 64 bytes, the limit is 63`: define[struct {
			N int `leftfold:"a234567890123456789012345678901234567890123456789012345678901234"`
		}]("v", v1),
		`the column name "Größe" is not usable`: define[struct {
			N int `leftfold:"Größe"`
		}]("v", v1),
		`the column name "1st" is not usable`: define[struct {
			N int `leftfold:"1st"`
		}]("v", v1),
		`the column name "a b" is not usable`: define[struct {
			N int `leftfold:"a b"`
		}]("v", v1),
		`there is a column "user_id" already`:            define[struct{ UserID, UserId int }]("v", v1), //nolint:staticcheck // the clash is the point
		`field base of`:                                  define[struct{ base }]("v", v1),
		`a func() cannot be stored`:                      define[struct{ F func() }]("v", v1),
		`a *chan int cannot be stored`:                   define[struct{ C *chan int }]("v", v1),
		`a error cannot be stored`:                       define[struct{ E error }]("v", v1),
		`a projection_test.stamp cannot be stored`:       define[struct{ At stamp }]("v", v1),
		`a *projection_test.stamp cannot be stored`:      define[struct{ At *stamp }]("v", v1),
		`the index names column "n", which does not`:     define[account]("v", indexed("n")),
		`column "cents" is indexed twice`:                define[account]("v", indexed("cents", "cents")),
		`the index names column "log", which has no`:     define[account]("v", indexed("log")),
		`the index names column "p", which has no order`: define[struct{ P *int }]("v", indexed("p")),
		`it has no rules; add projection.When(...)`:      withRules(),
		`rule 2: it is empty`:                            withRules(projection.When(pay), projection.Rule[account]{}),
		`rule 1: it has no fold function`:                withRules(projection.When[account, paid](nil)),
		`rule 1: it has no key function`:                 withRules(projection.WhenKeyed(nil, pay)),
		`: it has no fold function`:                      withRules(projection.WhenKeyed[account](key, nil)),
		`rule 1: it has no key func`:                     withRules(projection.Delete[account, paid](nil)),
	} {
		t.Run(says, func(t *testing.T) {
			defer func() {
				message, _ := recover().(string)
				assert.Contains(t, message, says)
				assert.Contains(t, message, "projection.NewView(")
			}()
			mistake()
			t.Error("it was accepted")
		})
	}
}

func TestEveryWindowGivesTheSameRows(t *testing.T) {
	type visit struct {
		ID    string `leftfold:"key"`
		Last  time.Time
		Same  int64
		Empty []byte
		Nils  int64
	}
	at := time.Date(2026, 1, 1, 12, 0, 0, 999_999_999, time.FixedZone("CET", 3600))
	view := projection.NewView("visits", projection.ViewOptions{Version: 1},
		projection.When(func(v *visit, _ paid, _ eventstore.Recorded) {
			if v.Last.Equal(at.Truncate(time.Microsecond)) {
				v.Same++ // a fold must not see whether the row was stored in between
			}
			if v.Empty == nil {
				v.Nils++
			}
			v.Last, v.Empty = at, []byte{}
		}))
	store := memory.NewStore()
	for range 6 {
		appendTo(t, store, "a", paid{})
	}
	want := []visit{{ID: "a", Last: at.Truncate(time.Microsecond).UTC(), Same: 5, Nils: 6}}
	for _, window := range []int{1, 2, 5, 100} {
		assert.Equal(t, want, rows(t, store, view, window), "in windows of %d", window)
	}
}

// SQLite stores -0 as 0.
func TestAZeroHasNoSignInAnyWindow(t *testing.T) {
	type scale struct {
		ID    string `leftfold:"key"`
		Value float64
		Maybe *float64
		Below int64
	}
	view := projection.NewView("scales", projection.ViewOptions{Version: 1},
		projection.When(func(s *scale, _ paid, _ eventstore.Recorded) {
			if math.Signbit(s.Value) || s.Maybe != nil && math.Signbit(*s.Maybe) {
				s.Below++
			}
			below := math.Copysign(0, -1)
			s.Value, s.Maybe = below, &below
		}))
	store := memory.NewStore()
	for range 3 {
		appendTo(t, store, "a", paid{})
	}
	for _, window := range []int{1, 2, 100} {
		row := rows(t, store, view, window)[0]
		assert.Zero(t, row.Below, "in windows of %d", window)
		assert.False(t, math.Signbit(row.Value) || math.Signbit(*row.Maybe))
	}
}

func TestAnEventRunsThroughEveryRuleOfItsTypeInOrder(t *testing.T) {
	note := func(text string) func(a *account, _ paid, _ eventstore.Recorded) {
		return func(a *account, _ paid, _ eventstore.Recorded) { a.Log = append(a.Log, text) }
	}
	all := func(paid, eventstore.Recorded) string { return "all" }
	view := projection.NewView("v", projection.ViewOptions{Version: 1},
		projection.When(note("first")), projection.WhenKeyed(all, note("second")), projection.When(note("third")), projection.WhenKeyed(all, note("fourth")))
	store := memory.NewStore()
	appendTo(t, store, "a", paid{})
	appendTo(t, store, "b", paid{})
	assert.Equal(t, []account{
		{ID: "a", Log: []string{"first", "third"}},
		{ID: "all", Log: []string{"second", "fourth", "second", "fourth"}},
		{ID: "b", Log: []string{"first", "third"}},
	}, rows(t, store, view, 0))
}

func TestAnEmptyKeyTouchesNoRow(t *testing.T) {
	view := projection.NewView("v", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { return e.To }, pay),
		projection.Delete[account](func(e closed) string { return e.To }))
	store := memory.NewStore()
	appendTo(t, store, "a", paid{Cents: 1}, paid{To: "bob", Cents: 2}, closed{})
	assert.Equal(t, []account{{ID: "bob", Cents: 2}}, rows(t, store, view, 0))
}

func TestADeletedRowStartsAnew(t *testing.T) {
	store := memory.NewStore()
	appendTo(t, store, "a", paid{Cents: 1}, renamed{"Ada"}, closed{"a"}, closed{"a"}, closed{"nobody"})
	appendTo(t, store, "b", paid{Cents: 2})
	for _, window := range []int{1, 100} {
		assert.Equal(t, []account{{ID: "b", Cents: 2}}, rows(t, store, accounts, window), "in windows of %d", window)
	}
	appendTo(t, store, "a", paid{Cents: 7})
	for _, window := range []int{1, 100} {
		assert.Equal(t, []account{{ID: "a", Cents: 7}, {ID: "b", Cents: 2}}, rows(t, store, accounts, window), "in windows of %d", window)
	}
}

func TestARowWithoutAKeyFieldIsKeyedAllTheSame(t *testing.T) {
	type sum struct{ Cents int64 }
	view := projection.NewView("v", projection.ViewOptions{Version: 1},
		projection.When(func(s *sum, e paid, _ eventstore.Recorded) { s.Cents += e.Cents }))
	store := memory.NewStore()
	appendTo(t, store, "a", paid{Cents: 1})
	appendTo(t, store, "b", paid{Cents: 2})
	assert.Equal(t, []sum{{1}, {2}}, rows(t, store, view, 1))
}

func TestFoldGivesTheRowsOfTheSink(t *testing.T) {
	store := memory.NewStore()
	appendTo(t, store, "a", paid{Cents: 1}, renamed{"Ada"}, paid{Cents: 2})
	appendTo(t, store, "b", paid{Cents: 5}, closed{"b"})
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	var log []eventstore.Recorded
	for m := range read.Events() {
		log = append(log, m)
	}
	log = append(log, eventstore.Recorded{EventData: eventstore.EventData{Type: "not.handled"}})
	folded, err := accounts.Fold(events(t), log)
	require.NoError(t, err)
	assert.Equal(t, map[string]account{"a": {ID: "a", Name: "Ada", Cents: 3}}, folded)
}

func TestAFoldThatUsesWhatIsNotStoredIsFound(t *testing.T) {
	type row struct {
		ID      string `leftfold:"key"`
		Total   int64
		Scratch int64 `leftfold:"-"`
	}
	view := projection.NewView("v", projection.ViewOptions{Version: 1},
		projection.When(func(r *row, _ paid, _ eventstore.Recorded) { r.Scratch++; r.Total = r.Scratch }))
	data, err := events(t).Encode(paid{})
	require.NoError(t, err)
	once := eventstore.Recorded{EventData: data, Stream: "test-a"}
	_, err = view.Fold(events(t), []eventstore.Recorded{once, once})
	require.EqualError(t, err, `row "a" depends on where a window of events ends: folded at once total is 2, stored in between it is 1; a fold uses what is not stored`)
}
