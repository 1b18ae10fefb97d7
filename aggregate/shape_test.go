package aggregate_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore/codec"
)

type noted struct{ Text string }

func shapeOf[S any](foldVersion int, events ...codec.Definition) aggregate.Shape {
	if len(events) == 0 {
		events = []codec.Definition{codec.Event[noted]("note.noted")}
	}
	return aggregate.Define("note", func(any, *S) {}, events...).FoldVersion(foldVersion).Shape()
}

func TestTheShapeChangesWithTheFold(t *testing.T) {
	type state struct{ A int64 }
	type moreFields struct {
		A int64
		B string
	}
	type otherKind struct{ A string }
	type otherName struct{ B int64 }
	type otherTag struct {
		A int64 `json:"b"`
	}
	type nested struct{ A struct{ B int64 } }
	type deeper struct{ A struct{ B int32 } }
	same := shapeOf[state](1)
	shapes := map[aggregate.Shape]string{}
	for name, shape := range map[string]aggregate.Shape{
		"as it is":             same,
		"the fold's version":   shapeOf[state](2),
		"a field more":         shapeOf[moreFields](1),
		"a field's type":       shapeOf[otherKind](1),
		"a field's name":       shapeOf[otherName](1),
		"a field's tag":        shapeOf[otherTag](1),
		"a field's type below": shapeOf[nested](1),
		"and below that":       shapeOf[deeper](1),
		"an event more":        shapeOf[state](1, codec.Event[noted]("note.noted"), codec.Event[struct{ More string }]("note.more")),
		"an event's name":      shapeOf[state](1, codec.Event[noted]("note.taken")),
		"an event's version":   shapeOf[state](1, codec.Event[noted]("note.noted", codec.Version(2), codec.Upcast(1, func(struct{ T string }) (noted, error) { return noted{}, nil }))),
	} {
		assert.Empty(t, shapes[shape], "%s has the shape of another", name)
		shapes[shape] = name
	}
	type renamed struct{ A int64 }
	assert.Equal(t, same, shapeOf[renamed](1), "the names of Go types do not matter")
}

type tree struct {
	Value    int
	Children []tree
}

type calendar struct {
	At   time.Time
	Days map[time.Weekday][]string
	Sum  *big.Int
	Pair [2]*float64
}

func TestStatesThatComeBackHaveAShape(t *testing.T) {
	assert.NotEqual(t, shapeOf[tree](1), shapeOf[calendar](1))
}

type Base struct{ ID string }

func TestFoldVersionRefusesStatesThatWouldNotComeBack(t *testing.T) {
	for says, define := range map[string]func(){
		".total is unexported, so it would be lost": func() { shapeOf[struct{ total int }](1) },
		`has the tag json:"-"`: func() {
			shapeOf[struct {
				Total int `json:"-"`
			}](1)
		},
		".Any is a interface {}, an interface": func() { shapeOf[struct{ Any any }](1) },
		".Done is a chan int, which cannot be": func() { shapeOf[struct{ Done chan int }](1) },
		".List.C is a func(), which cannot":    func() { shapeOf[struct{ List []struct{ C func() } }](1) },
		".By has keys of type float64":         func() { shapeOf[struct{ By map[float64]int }](1) },
		".Base is embedded: give it a name":    func() { shapeOf[struct{ Base }](1) },
		`.B has the JSON name "A" of A`: func() {
			shapeOf[struct {
				A int
				B int `json:"A"`
			}](1)
		},
		"it is 0, versions start at 1": func() { shapeOf[struct{}](0) },
	} {
		t.Run(says, func(t *testing.T) {
			defer func() {
				require.Contains(t, recover(), says)
			}()
			define()
			t.Error("it was accepted")
		})
	}
}
