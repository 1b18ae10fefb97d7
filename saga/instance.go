package saga

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Phase is where an instance is in its life.
type Phase string

// The phases of an instance.
const (
	Running      Phase = "running"
	Compensating Phase = "compensating" // a step has failed, and what was done is being undone
	Stuck        Phase = "stuck"        // it needs a command whose attempts are used up; see [Type.Resume]
	Completed    Phase = "completed"    // all steps are done
	Compensated  Phase = "compensated"  // what was done is undone
)

// Ended reports whether nothing happens to the instance any more.
func (p Phase) Ended() bool { return p == Completed || p == Compensated }

// instance is the fold of an instance's stream.
type instance[S any] struct {
	state    S
	phase    Phase // empty: it has not begun
	began    eventstore.EventID
	metadata []byte          // of the event that began it
	told     map[string]bool // events, by id and part
	values   []any           // what the last observed event stands for
	steps    map[string]stepState
	order    []string // of the steps that have ended and may have to be undone
	commands map[string]commandState
	timers   map[string]timerSet // that are pending
	stuck    string              // the command that it is stuck with
	broken   error               // why it cannot be folded
}

// stepState is a step that has started.
type stepState struct {
	stage   stage
	command string // that it asked for; empty: none
	undo    string // the command that undoes it; empty: it has not been asked for
}

type stage int

const (
	started stage = iota + 1
	completed
	failed
	abandoned
	undone
)

// commandState is a command that was requested.
type commandState struct {
	commandRequested

	status  status
	tries   int // that failed since it was requested first, or the instance was resumed
	settled bool
	reason  string        // why it failed last
	after   time.Duration // that it should rest then
}

type status int

const (
	open    status = iota + 1 // the dispatcher has it
	waiting                   // for a timer, or for people
	done
	refused
)

// clone returns an instance that can be folded further. The state is not copied in depth: whoever
// clones gives up the original.
func (in instance[S]) clone() instance[S] {
	in.told, in.steps, in.commands, in.timers = maps.Clone(in.told), maps.Clone(in.steps), maps.Clone(in.commands), maps.Clone(in.timers)
	in.order = slices.Clone(in.order)
	return in
}

func (in *instance[S]) begin() {
	in.phase = Running
	in.told, in.steps, in.commands, in.timers = map[string]bool{}, map[string]stepState{}, map[string]commandState{}, map[string]timerSet{}
}

// fold applies a record. It is total: what it cannot apply leaves the instance broken.
func (t *Type[S]) fold(r record, in *instance[S]) {
	if in.broken != nil {
		return
	}
	if o, ok := r.(observed); ok {
		t.foldObserved(o, in)
		return
	}
	if in.phase == "" {
		in.broken = fmt.Errorf("the stream begins with a %T", r)
		return
	}
	in.values = nil
	switch r := r.(type) {
	case stepStarted:
		in.step(r.Step, func(s *stepState) { s.stage = started })
	case stepCompleted:
		in.end(r.Step, completed)
	case stepFailed:
		in.end(r.Step, failed)
	case stepAbandoned:
		in.end(r.Step, abandoned)
	case stepUndone:
		in.end(r.Step, undone)
	case commandRequested:
		in.request(r)
	case commandDone:
		in.command(r.ID, func(c *commandState) { c.status, c.settled = done, true })
	case commandRefused:
		in.command(r.ID, func(c *commandState) {
			if c.failed(r.Reason); !c.Must {
				c.status, c.settled = refused, true
			}
		})
	case commandFailed:
		in.command(r.ID, func(c *commandState) { c.failed(r.Reason); c.after = r.After })
	case timerSet:
		in.timers[r.ID] = r
	case timerCancelled:
		delete(in.timers, r.ID)
	case timerFired:
		delete(in.timers, r.ID)
	case compensating:
		in.phase = Compensating
	case stuck:
		in.stuck = r.Command
	case unstuck:
		in.stuck = ""
	case resumed:
		for id, c := range in.commands {
			c.tries = 0
			in.commands[id] = c
		}
	case ended:
		in.phase = r.Phase
	default:
		in.broken = fmt.Errorf("a record of type %T, which this build does not know", r)
	}
}

func (t *Type[S]) foldObserved(o observed, in *instance[S]) {
	if o.Begins {
		in.begin()
		in.began, in.metadata = o.ID, o.Metadata
	}
	if in.phase == "" {
		in.broken = fmt.Errorf("the stream begins with %s, which begins nothing", o.Type)
		return
	}
	in.told[o.key()] = true
	m := o.event()
	values, err := t.events.Decode(m)
	if err != nil {
		in.broken = fmt.Errorf("an event that it was told: %w", err)
		return
	}
	in.values = values
	for _, value := range values {
		if rule := t.rules[typeOf(value)]; rule != nil && rule.fold != nil {
			rule.fold(&in.state, value, &m)
		}
	}
}

// key tells one event from another, and the parts of one.
func (o observed) key() string {
	if o.Part == 0 {
		return o.ID.String()
	}
	return fmt.Sprintf("%s/%d", o.ID, o.Part)
}

func (in *instance[S]) step(name string, change func(*stepState)) {
	s := in.steps[name]
	change(&s)
	in.steps[name] = s
}

// end puts a step into the stage in which it has ended.
func (in *instance[S]) end(name string, at stage) {
	in.step(name, func(s *stepState) { s.stage = at })
	in.order = slices.DeleteFunc(in.order, func(other string) bool { return other == name })
	if at == completed || at == abandoned {
		in.order = append(in.order, name)
	}
}

func (in *instance[S]) request(r commandRequested) {
	c := in.commands[r.ID]
	if c.Payload != nil { // that of the first attempt: the command is the same
		r.Payload = c.Payload
	}
	c.commandRequested, c.status = r, open
	in.commands[r.ID] = c
	in.step(r.Step, func(s *stepState) {
		if r.Undoes {
			s.undo = r.ID
		} else {
			s.command = r.ID
		}
	})
}

func (in *instance[S]) command(id string, change func(*commandState)) {
	c, known := in.commands[id]
	if !known {
		in.broken = fmt.Errorf("the result of command %s, which was never requested", id)
		return
	}
	change(&c)
	in.commands[id] = c
}

func (c *commandState) failed(reason string) {
	c.status, c.reason, c.after = waiting, reason, 0
	c.tries++
}

// needs reports whether the instance cannot go on without the result of the command. That of a step that is
// not waited for any more matters only to what undoes it.
func (t *Type[S]) needs(in *instance[S], c commandState) bool {
	s := in.steps[c.Step]
	switch {
	case c.settled || in.phase.Ended():
		return false
	case c.Undoes:
		return s.stage != undone
	case s.stage == abandoned:
		step := t.step(c.Step)
		return step == nil || step.Undo.goes
	default:
		return s.stage == started
	}
}

// due returns the time, as views keep times.
func due(at time.Time, after time.Duration) time.Time {
	return at.Add(after).UTC().Truncate(time.Microsecond)
}
