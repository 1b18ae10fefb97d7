package saga

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// errNothing says that what an instance was told means nothing to it: it was told before, or the
// instance has not begun, has ended, or does not wait for it any more. Nothing is recorded.
var errNothing = errors.New("it means nothing to the instance")

// decision is an instance under way to what it decides because of what it is told. It is a pure
// function of both: everything that it decides is a record that is folded at once.
type decision[S any] struct {
	saga   *Type[S]
	stream eventstore.StreamID
	instance[S]

	at      time.Time
	records []record
}

// decide returns the records of what the instance is told and of what it does because of it.
func (t *Type[S]) decide(stream eventstore.StreamID, in instance[S], told record) ([]record, error) {
	d, err := t.decision(stream, in, told)
	if err != nil {
		return nil, err
	}
	return d.records, d.broken
}

// decision is decide with what becomes of the instance.
func (t *Type[S]) decision(stream eventstore.StreamID, in instance[S], told record) (*decision[S], error) {
	if in.broken != nil {
		return nil, in.broken
	}
	d := &decision[S]{saga: t, stream: stream, instance: in.clone()}
	d.at, _ = toldAt(told)
	if !d.minds(told) {
		return nil, errNothing
	}
	var timer timerSet
	if fired, ok := told.(timerFired); ok {
		timer = d.timers[fired.ID] // the fold removes it
	}
	d.record(told)
	d.react(told, timer)
	if err := d.proceed(); err != nil {
		return nil, err
	}
	d.settle()
	return d, nil
}

// minds reports whether it means anything to the instance.
func (d *decision[S]) minds(told record) bool {
	if o, ok := told.(observed); ok && o.Begins {
		return d.phase == ""
	}
	if d.phase == "" || d.phase.Ended() {
		return false
	}
	switch told := told.(type) {
	case observed:
		return !d.told[told.key()]
	case timerFired:
		_, pending := d.timers[told.ID]
		return pending
	case commandDone:
		return d.isOpen(told.ID, told.Attempt)
	case commandRefused:
		return d.isOpen(told.ID, told.Attempt)
	case commandFailed:
		return d.isOpen(told.ID, told.Attempt)
	case resumed:
		return d.instance.stuck != ""
	}
	return false
}

// isOpen reports whether the result of the attempt is still wanted.
func (d *decision[S]) isOpen(id string, attempt int) bool {
	c, known := d.commands[id]
	return known && c.status == open && c.Attempt == attempt
}

// record takes a decision.
func (d *decision[S]) record(r record) {
	if request, is := r.(commandRequested); is {
		request.Beside = slices.ContainsFunc(d.records, isRequest)
		r = request
	}
	d.records = append(d.records, r)
	d.saga.fold(r, &d.instance)
}

func isRequest(r record) bool {
	_, is := r.(commandRequested)
	return is
}

// react takes the decisions that follow at once.
func (d *decision[S]) react(told record, timer timerSet) {
	switch told := told.(type) {
	case observed:
		for _, value := range d.values {
			d.observe(value, told.Type)
		}
		for n, s := range told.Sends {
			name := fmt.Sprint(n + 1)
			d.record(stepStarted{name})
			d.request(name, s, false, true)
		}
	case timerFired:
		d.fired(timer)
	case commandDone:
		d.handled(d.commands[told.ID])
	case commandRefused:
		c := d.commands[told.ID]
		if s := d.steps[c.Step]; !c.Must && (s.stage == started || s.stage == abandoned) {
			d.record(stepFailed{c.Step, told.Reason})
		}
	case resumed:
		for _, id := range slices.Sorted(maps.Keys(d.commands)) {
			if c := d.commands[id]; c.status == waiting && d.saga.needs(&d.instance, c) && !d.isDue(id) {
				d.again(c)
			}
		}
	}
}

// observe looks which steps an event completes or fails.
func (d *decision[S]) observe(value any, name string) {
	for _, s := range d.saga.steps {
		at := d.steps[s.Name]
		isOf := func(m Match) bool { return m.selects(value) }
		switch {
		case (at.stage == started || at.stage == abandoned && at.undo == "") && slices.ContainsFunc(s.Failed, isOf):
			d.record(stepFailed{s.Name, name})
		case at.stage == started && slices.ContainsFunc(s.Done, isOf):
			d.record(stepCompleted{s.Name})
		}
	}
}

// fired takes up what a timer was set for.
func (d *decision[S]) fired(timer timerSet) {
	if timer.Command != "" {
		if c := d.commands[timer.Command]; d.saga.needs(&d.instance, c) {
			d.again(c)
		}
		return
	}
	if d.steps[timer.Step].stage == started {
		d.record(stepAbandoned{timer.Step, "timed out"})
	}
}

// handled takes the decisions after a command was handled.
func (d *decision[S]) handled(c commandState) {
	if c.Undoes {
		d.record(stepUndone{c.Step})
		return
	}
	s := d.saga.step(c.Step)
	if d.steps[c.Step].stage == started && (s == nil || len(s.Done) == 0) {
		d.record(stepCompleted{c.Step})
	}
}

// proceed takes the instance as far as it goes without being told more.
func (d *decision[S]) proceed() error {
	if d.phase == Running {
		d.giveUp()
	}
	for {
		before := len(d.records)
		var err error
		switch d.phase {
		case Running:
			err = d.advance()
		case Compensating:
			err = d.undo()
		}
		if err != nil || d.broken != nil || before == len(d.records) {
			return err
		}
	}
}

// giveUp begins to compensate if a step has failed. The others are not waited for.
func (d *decision[S]) giveUp() {
	reason, gave := "", false
	for _, s := range d.saga.steps {
		if at := d.steps[s.Name].stage; at == failed || at == abandoned {
			reason, gave = s.Name, true
			break
		}
	}
	if !gave {
		return
	}
	d.record(compensating{reason})
	for _, s := range d.saga.steps {
		if d.steps[s.Name].stage == started {
			d.record(stepAbandoned{s.Name, "step " + reason + " failed"})
		}
	}
}

// advance starts the steps whose turn it is, or ends the instance.
func (d *decision[S]) advance() error {
	if d.saga.react != nil {
		for _, s := range d.steps {
			if s.stage != completed {
				return nil
			}
		}
		d.record(ended{Completed})
		return nil
	}
	for first := 0; first < len(d.saga.steps); {
		next := first + 1
		for next < len(d.saga.steps) && d.saga.steps[next].Together {
			next++
		}
		isDone := true
		for _, s := range d.saga.steps[first:next] {
			at := d.steps[s.Name].stage
			isDone = isDone && at == completed
			if at == 0 {
				return d.start(d.saga.steps[first:next])
			}
		}
		if !isDone {
			return nil
		}
		first = next
	}
	d.record(ended{Completed})
	return nil
}

// start starts those of the steps that have not started.
func (d *decision[S]) start(steps []Step[S]) error {
	for _, s := range steps {
		if d.steps[s.Name].stage != 0 {
			continue
		}
		d.record(stepStarted{s.Name})
		if s.Timeout > 0 {
			d.setTimer(timerSet{Name: s.Name, Step: s.Name, Due: due(d.at, s.Timeout)})
		}
		if err := d.send(s.Name, s.Do, false); err != nil {
			return err
		}
	}
	return nil
}

func (d *decision[S]) send(step string, a Action[S], undoes bool) error {
	if !a.goes {
		return nil
	}
	what, err := a.encoded(d.state)
	if err != nil {
		return err
	}
	d.request(step, what, undoes, undoes)
	return nil
}

func (d *decision[S]) request(step string, what send, undoes, must bool) {
	d.record(commandRequested{ID: commandID(d.stream, d.began, step, undoes), Step: step, Undoes: undoes, Must: must, Attempt: 1, send: what})
}

// again requests another attempt. The payload stands in the first request: with one in each, the stream of an
// instance that has tried for an hour would be too long to fold.
func (d *decision[S]) again(c commandState) {
	next := c.commandRequested
	next.Attempt++
	next.Payload = nil
	d.record(next)
}

// undo asks for the next compensation, if the last one is done, or ends the instance.
func (d *decision[S]) undo() error {
	for _, name := range slices.Backward(d.order) {
		s, at := d.saga.step(name), d.steps[name]
		if s == nil {
			return fmt.Errorf("step %q is to be undone, and this build does not know it: names of steps are for ever", name)
		}
		if !s.Undo.goes {
			continue
		}
		if c, sent := d.commands[at.command]; sent && !c.settled && at.stage == abandoned {
			return nil // what became of it decides whether there is anything to undo
		}
		if at.undo != "" {
			return nil
		}
		return d.send(name, s.Undo, true)
	}
	d.record(ended{Compensated})
	return nil
}

// settle sees to what must hold after every decision: a command that failed and is needed has a
// timer, or the instance is stuck with it; no timer is pending that nobody waits for.
func (d *decision[S]) settle() {
	var exhausted []string
	for _, id := range slices.Sorted(maps.Keys(d.commands)) {
		c := d.commands[id]
		switch {
		case c.status != waiting || !d.saga.needs(&d.instance, c) || d.isDue(id):
		case c.tries < d.saga.retry.Attempts:
			name := fmt.Sprintf("%s, attempt %d", c.Name, c.Attempt+1)
			d.setTimer(timerSet{Name: name, Command: id, Due: due(d.at, max(c.after, d.saga.retry.pause(id, c.Attempt, c.tries)))})
		default:
			exhausted = append(exhausted, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.timers)) {
		if timer := d.timers[id]; !d.waitsFor(timer) {
			d.record(timerCancelled{id})
		}
	}
	switch {
	case d.phase.Ended():
	case len(exhausted) == 0 && d.instance.stuck != "":
		d.record(unstuck{})
	case len(exhausted) > 0 && !slices.Contains(exhausted, d.instance.stuck):
		c := d.commands[exhausted[0]]
		d.record(stuck{c.Step, c.ID, c.reason})
	}
}

// isDue reports whether a timer is pending for the command.
func (d *decision[S]) isDue(command string) bool {
	for _, timer := range d.timers {
		if timer.Command == command {
			return true
		}
	}
	return false
}

func (d *decision[S]) waitsFor(timer timerSet) bool {
	switch {
	case d.phase.Ended():
		return false
	case timer.Command != "":
		return d.saga.needs(&d.instance, d.commands[timer.Command])
	default:
		return d.steps[timer.Step].stage == started
	}
}

func (d *decision[S]) setTimer(timer timerSet) {
	timer.ID = eventstore.NewCommandID("saga timer", string(d.stream), d.began.String(), timer.Name, cmp.Or(timer.Command, timer.Step)).String()
	d.record(timer)
}

// commandID is made of the event that began the instance, so that two stores that have an instance
// of one name do not share the ids of its commands.
func commandID(stream eventstore.StreamID, began eventstore.EventID, step string, undoes bool) string {
	what := "do"
	if undoes {
		what = "undo"
	}
	return eventstore.NewCommandID("saga command", string(stream), began.String(), step, what).String()
}
