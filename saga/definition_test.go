package saga_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

func TestMistakesInADefinitionAreNamed(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(d *saga.Definition[transfer]){
		"it has no steps":                func(d *saga.Definition[transfer]) { d.Steps = nil },
		"two steps \"pay\"":              func(d *saga.Definition[transfer]) { d.Steps[1].Name = "pay" },
		"the timeout is -1s":             func(d *saga.Definition[transfer]) { d.Steps[1].Timeout = -time.Second },
		"the timeout is 2400000h":        func(d *saga.Definition[transfer]) { d.Steps[1].Timeout = 2_400_000 * time.Hour },
		"sends no command and waits for": func(d *saga.Definition[transfer]) { d.Steps[1].Done = nil },
		"no name or no function":         func(d *saga.Definition[transfer]) { d.Steps[0].Do = saga.Send[transfer, deposit]("x", nil) },
		"an event of Done or Failed":     func(d *saga.Definition[transfer]) { d.Steps[1].Done = []saga.Match{{}} },
		"no rule says of which instance": func(d *saga.Definition[transfer]) { d.Steps[1].Done = []saga.Match{saga.By[closed]()} },
		"no event begins an instance":    func(d *saga.Definition[transfer]) { d.On = d.On[1:] },
		"begins an instance and means":   func(d *saga.Definition[transfer]) { d.Steps[1].Done = []saga.Match{saga.By[requested]()} },
		"not printable": func(d *saga.Definition[transfer]) {
			d.Steps[0].Do = saga.Send("a\x00b", func(transfer) int { return 0 })
		},
		"two rules of":                 func(d *saga.Definition[transfer]) { d.On = append(d.On, d.On[0]) },
		"rule 2 is empty":              func(d *saga.Definition[transfer]) { d.On[1] = saga.Rule[transfer]{} },
		"no function for the instance": func(d *saga.Definition[transfer]) { d.On[1] = saga.On[transfer, withdrawn](nil, nil) },
		"is not among its events":      func(d *saga.Definition[transfer]) { d.Events = []*codec.Set{accounts.Events()} },
		"Retry wants":                  func(d *saga.Definition[transfer]) { d.Retry.First = time.Hour },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			defer func() {
				assert.Contains(t, recover(), want)
			}()
			waiting(change)
		})
	}
	assert.PanicsWithValue(t, `saga.Define("Bad-Name"): the name is not usable: want a lower-case letter, then letters, digits or _, at most 32 in all`, func() {
		saga.Define("Bad-Name", saga.Definition[struct{}]{})
	})
	assert.Panics(t, func() {
		saga.React[requested]("gift", saga.ReactOptions{Events: []*codec.Set{transferOrders.Events()}}, nil)
	})
}

func TestAWorkerSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, saga.Worker{}.Run(t.Context()), "are required")
}
