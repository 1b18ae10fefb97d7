package saga

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Type is a kind of saga. It does not change, and may be used by many goroutines.
type Type[S any] struct {
	name    string
	events  *codec.Set
	rules   map[reflect.Type]*Rule[S]
	steps   []Step[S]
	since   time.Time
	retry   Retry
	react   *reaction
	records *aggregate.Type[instance[S], record]
}

// Define returns the saga. Its instances are the streams "name-id" of the store that a [Worker]
// is given. The name is for ever: a lower-case letter, then letters, digits or _, at most
// 32 bytes in all.
//
// Define is for package variables, so it panics on a mistake in the definition, and names it.
func Define[S any](name string, d Definition[S]) *Type[S] {
	t, err := define(name, d)
	if err != nil {
		panic(fmt.Sprintf("saga.Define(%q): %v", name, err))
	}
	return t
}

// Name returns the saga's name, which is the category of its streams.
func (t *Type[S]) Name() string { return t.name }

// Stream returns the stream of the instance with the id.
func (t *Type[S]) Stream(id string) eventstore.StreamID { return eventstore.NewStreamID(t.name, id) }

// Records returns the types of the events of an instance's stream, for tools that read them. They
// are the same for all sagas.
func (t *Type[S]) Records() *codec.Set { return t.records.Events() }

var (
	validName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	errBadName = errors.New("the name is not usable: want a lower-case letter, then letters, digits or _, at most 32 in all")
)

func define[S any](name string, d Definition[S]) (*Type[S], error) {
	t := &Type[S]{name: name, steps: slices.Clone(d.Steps), since: d.Since, retry: d.Retry.orDefault()}
	if !validName.MatchString(name) {
		return nil, errBadName
	}
	var err error
	if t.events, err = codec.Merge(d.Events...); err != nil {
		return nil, fmt.Errorf("its events: %w", err)
	}
	if err := t.retry.check(); err != nil {
		return nil, err
	}
	if t.rules, err = rulesOf(t.events, d.On); err != nil {
		return nil, err
	}
	if err := t.checkSteps(); err != nil {
		return nil, err
	}
	t.records = aggregate.Define(name, t.fold, definitions...)
	return t, nil
}

func rulesOf[S any](events *codec.Set, on []Rule[S]) (map[reflect.Type]*Rule[S], error) {
	rules, begins := map[reflect.Type]*Rule[S]{}, false
	for n := range on {
		rule := &on[n]
		switch {
		case rule.event == nil:
			return nil, fmt.Errorf("rule %d is empty: make one with saga.Begin or saga.On", n+1)
		case rule.id == nil:
			return nil, fmt.Errorf("the rule of %v has no function for the instance's id", rule.event)
		case rules[rule.event] != nil:
			return nil, fmt.Errorf("there are two rules of %v", rule.event)
		}
		if _, known := events.NameFor(rule.event); !known {
			return nil, fmt.Errorf("%v is not among its events: add the set that holds codec.Event[%v](…) to Definition.Events", rule.event, rule.event)
		}
		rules[rule.event] = rule
		begins = begins || rule.begins
	}
	if !begins {
		return nil, errors.New("no event begins an instance: add saga.Begin(…) to Definition.On")
	}
	return rules, nil
}

// maxTimeout keeps a due time within what every sink can store.
const maxTimeout = 100 * 365 * 24 * time.Hour

func (t *Type[S]) checkSteps() error {
	if len(t.steps) == 0 {
		return errors.New("it has no steps")
	}
	for n, s := range t.steps {
		if err := eventstore.ValidateName("step", s.Name); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
		if slices.ContainsFunc(t.steps[:n], func(other Step[S]) bool { return other.Name == s.Name }) {
			return fmt.Errorf("there are two steps %q", s.Name)
		}
		if err := t.checkStep(s); err != nil {
			return fmt.Errorf("step %q: %w", s.Name, err)
		}
	}
	return nil
}

func (t *Type[S]) checkStep(s Step[S]) error {
	switch {
	case !s.Do.goes && len(s.Done) == 0:
		return errors.New("it sends no command and waits for no event: give it Do or Done")
	case s.Timeout < 0 || s.Timeout > maxTimeout:
		return fmt.Errorf("the timeout is %s: want 0 to %s", s.Timeout, maxTimeout)
	}
	for _, a := range []Action[S]{s.Do, s.Undo} {
		if a.goes && (a.build == nil || a.name == "") {
			return errors.New("its command has no name or no function: make it with saga.Send")
		}
		if a.goes {
			if err := eventstore.ValidateName("command", a.name); err != nil {
				return err
			}
		}
	}
	for _, m := range slices.Concat(s.Done, s.Failed) {
		if m.event == nil || m.is == nil {
			return errors.New("an event of Done or Failed is empty: make it with saga.By or saga.ByIf")
		}
		if t.rules[m.event] == nil {
			return fmt.Errorf("it waits for %v, and no rule says of which instance that is: add saga.On(…) to Definition.On", m.event)
		}
		if t.rules[m.event].begins {
			return fmt.Errorf("it waits for %v, which begins an instance and means nothing to one that has begun: make its rule with saga.On", m.event)
		}
	}
	return nil
}

// step returns the definition of a step, nil if this build has none.
func (t *Type[S]) step(name string) *Step[S] {
	n := slices.IndexFunc(t.steps, func(s Step[S]) bool { return s.Name == name })
	if n < 0 {
		return nil
	}
	return &t.steps[n]
}

// stored returns the names under which the events are stored that the saga is told.
func (t *Type[S]) stored() (names []string) {
	for event := range t.rules {
		name, _ := t.events.NameFor(event)
		names = append(names, t.events.StoredAs(name)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func typeOf(value any) reflect.Type { return reflect.TypeOf(value) }

// encoded returns the action's command.
func (a Action[S]) encoded(state S) (send, error) {
	payload, err := encodeCommand(a.build(state))
	if err != nil {
		return send{}, fmt.Errorf("command %s: %w", a.name, err)
	}
	return send{a.name, payload}, nil
}

func encodeCommand(c any) (json.RawMessage, error) { return json.Marshal(c) }

// decodeAs returns the command as a value of the type.
func decodeAs(goType reflect.Type, c Command) (any, error) {
	value := reflect.New(goType)
	decoder := json.NewDecoder(bytes.NewReader(c.Payload))
	if err := decoder.Decode(value.Interface()); err != nil {
		return nil, fmt.Errorf("read command %s as a %v: %w", c.Name, goType, err)
	}
	return value.Elem().Interface(), nil
}
