package aggregate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Cart refers to a line in two places: a fold that changes it by one reads it by the other.
type Cart struct {
	Lines  []*Line
	ByName map[string]*Line
}

type Line struct {
	Name     string
	Quantity int
}

type LineAdded struct{ Name string }

func (e LineAdded) apply(c *Cart) {
	if line := c.ByName[e.Name]; line != nil {
		line.Quantity++
		return
	}
	line := &Line{e.Name, 1}
	if c.ByName == nil {
		c.ByName = map[string]*Line{}
	}
	c.Lines, c.ByName[e.Name] = append(c.Lines, line), line
}

// A snapshot would make two lines of the one, and the fold after it would change one of them.
func TestAStateThatRefersToOneThingTwiceGetsNoSnapshot(t *testing.T) {
	carts := aggregate.Define("cart", LineAdded.apply, codec.Event[LineAdded]("cart.line_added")).FoldVersion(1)
	var failed fails
	snapshots := aggregate.NewSnapshots(memory.NewSnapshots(), failed.options(2, -1))
	repository := aggregate.NewRepository(memory.NewStore(), carts).WithSnapshots(snapshots)
	for n := range 10 {
		_, err := repository.Execute(t.Context(), "1", func(c Cart) ([]LineAdded, error) {
			if n > 0 {
				assert.Equal(t, n, c.Lines[0].Quantity)
			}
			return []LineAdded{{"tea"}}, nil
		})
		require.NoError(t, err)
		snapshots.TakeDue(t.Context())
	}
	require.NotEmpty(t, failed)
	assert.ErrorContains(t, failed[0], "refers to one thing in two places")
}

func TestWhatAStateSharesIsFound(t *testing.T) {
	type node struct {
		Value int
		Next  *node
	}
	type state struct {
		A, B   *node
		M, N   map[string]int
		S, U   []int
		Floats [2]*float64
		Empty  [2]*struct{}
		Nodes  []node
		Deep   map[string][]map[string]*node
	}
	one, list := &node{}, make([]int, 3)
	for what, c := range map[string]struct {
		state
		shared bool
	}{
		"nothing":                           {state: state{}},
		"equal things":                      {state: state{A: &node{}, B: &node{}, M: map[string]int{}, N: map[string]int{}, S: []int{1}, U: []int{1}}},
		"things without a size":             {state: state{Empty: [2]*struct{}{{}, {}}, S: []int{}, U: []int{}}},
		"neighbours":                        {state: state{S: list[:1:1], U: list[1:]}},
		"a pointer":                         {state: state{A: one, B: one}, shared: true},
		"a pointer below":                   {state: state{A: one, B: &node{Next: one}}, shared: true},
		"a pointer in a map":                {state: state{A: one, Deep: map[string][]map[string]*node{"": {{"": one}}}}, shared: true},
		"a map":                             {state: state{M: map[string]int{}}, shared: false},
		"a slice":                           {state: state{S: list, U: list}, shared: true},
		"a part of a slice":                 {state: state{S: list, U: list[1:2]}, shared: true},
		"room behind a slice":               {state: state{S: list[:1], U: list[1:]}, shared: true},
		"an element and a pointer to it":    {state: func() state { s := state{Nodes: make([]node, 2)}; s.A = &s.Nodes[1]; return s }(), shared: true},
		"one map by two names":              {state: func() state { m := map[string]int{}; return state{M: m, N: m} }(), shared: true},
		"a number that is pointed at twice": {state: func() state { f := 1.0; return state{Floats: [2]*float64{&f, &f}} }(), shared: true},
	} {
		assert.Equal(t, c.shared, aggregate.SharesReferences(c.state), what)
	}
}
