package cli

import (
	"context"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// standing is how a generation of a model does. It is read from its sink and its log, so every process
// sees the same, whoever works on it.
type standing struct {
	Name    string           `json:"name"`
	Version int              `json:"version"`
	Kind    kind             `json:"kind,omitempty"`
	Stage   projection.Stage `json:"stage"` // empty: it was never opened
	// Source is the store that it follows, if it was opened.
	Source string `json:"source,omitempty"`

	// State is that of the segment which does worst: one of [subscription.State], inline, stopped (nobody works
	// on it) or new (it was never opened).
	State subscription.State `json:"state"`
	// Owners are the workers that hold its segments.
	Owners   []string `json:"owners"`
	Segments int      `json:"segments"`

	Position eventstore.Position `json:"position"`
	Head     eventstore.Position `json:"head"`
	// Lag is in events.
	Lag           int64   `json:"lag"`
	BehindSeconds float64 `json:"behind_seconds"`

	// Failures are why segments do not go on.
	Failures []failure `json:"failures"`
	// DeadLetters is how many keys are parked, and FirstDeadLetter the one that was parked first.
	DeadLetters     int         `json:"dead_letters"`
	FirstDeadLetter *deadLetter `json:"first_dead_letter,omitempty"`
}

// failure is what keeps a segment.
type failure struct {
	Segment string             `json:"segment"`
	State   subscription.State `json:"state"`
	// Position, Event and Type are those of the event that it fails at; it may be no event that does.
	Position eventstore.Position `json:"position,omitempty"`
	Event    string              `json:"event_id,omitempty"`
	Type     string              `json:"type,omitempty"`
	Cause    string              `json:"cause"`
	Since    time.Time           `json:"since"`
}

// The states that no report has.
const (
	stopped subscription.State = "stopped"
	unknown subscription.State = "new"
	inline  subscription.State = "inline"
)

// worst are the states, the worse the further back.
var worst = []subscription.State{subscription.Running, inline, stopped, subscription.Paused, subscription.Waiting, subscription.Diverged, subscription.Failed}

// standings returns how all generations of the models do. A model whose own generation was never opened has
// one too.
func standings(ctx context.Context, models []model) (all []standing, err error) {
	for _, m := range models {
		statuses, err := projection.StatusOfAll(ctx, m.log, m.sink, m.Name)
		if err != nil {
			return nil, err
		}
		own := func(s projection.Status) bool { return s.Generation == m.Generation }
		if m.Version > 0 && !slices.ContainsFunc(statuses, own) {
			status, err := projection.StatusOf(ctx, m.log, m.sink, m.Generation)
			if err != nil {
				return nil, err
			}
			statuses = append(statuses, status)
		}
		for _, s := range statuses {
			all = append(all, m.standing(s))
		}
	}
	return all, nil
}

func (m model) standing(s projection.Status) standing {
	is := standing{
		Name: s.Generation.Name, Version: s.Generation.Version, Kind: m.kind, Stage: s.Stage, State: unknown,
		Owners: []string{}, Segments: len(s.Segments), Position: s.Position, Head: s.Head, Lag: s.Lag(),
		BehindSeconds: s.Behind.Seconds(), Failures: []failure{}, DeadLetters: len(s.Parked),
	}
	if len(s.Segments) > 0 {
		is.Source = s.Segments[0].Source.Store.String()
	}
	for n, l := range s.Segments {
		state := stateOf(l)
		if n == 0 || slices.Index(worst, state) > slices.Index(worst, is.State) {
			is.State = state
		}
		if l.Holder != "" && !slices.Contains(is.Owners, string(l.Holder)) {
			is.Owners = append(is.Owners, string(l.Holder))
		}
		if fails(l) {
			is.Failures = append(is.Failures, failureOf(l))
		}
	}
	for _, p := range s.Parked {
		if is.FirstDeadLetter == nil || p.At.Before(is.FirstDeadLetter.Since) {
			letter := m.deadLetter(p)
			is.FirstDeadLetter = &letter
		}
	}
	return is
}

// key tells a generation and its source from all others.
func (s standing) key() string { return s.generation() + " " + s.Source }

// stateOf returns how a segment does. A report of an earlier holder does not count.
func stateOf(l subscription.Lease) subscription.State {
	switch {
	case l.Holder == subscription.Inline:
		return inline
	case l.Holder == subscription.OnPause:
		return subscription.Paused
	case l.Holder == "":
		return stopped
	case l.Report.Fence != l.Fence || l.Report.State == "":
		return subscription.Running
	}
	return l.Report.State
}

// fails reports whether the segment failed when somebody worked on it last.
func fails(l subscription.Lease) bool {
	state := l.Report.State
	return l.Report.Fence == l.Fence && (state == subscription.Waiting || state == subscription.Failed || state == subscription.Diverged)
}

func failureOf(l subscription.Lease) failure {
	r := l.Report
	f := failure{Segment: l.Segment.String(), State: r.State, Position: r.Event.Position, Type: r.Type, Cause: r.Note, Since: r.At.UTC()}
	if r.Event.Position > 0 {
		f.Event = r.Event.EventID.String()
	}
	return f
}

// deadLetter is a key that is parked: the events of the key are left alone from the first one on that failed.
type deadLetter struct {
	Model    string              `json:"model"`
	Version  int                 `json:"version"`
	Key      string              `json:"key"`
	Position eventstore.Position `json:"position"`
	Event    string              `json:"event_id"`
	Type     string              `json:"type"`
	Cause    string              `json:"cause"`
	Since    time.Time           `json:"since"`
}

func (m model) deadLetter(p projection.Parked) deadLetter {
	return deadLetter{m.Name, m.Version, p.Key, p.Event.Position, p.Event.EventID.String(), p.Type, p.Cause, p.At.UTC()}
}
