package eventstoretest

import (
	"context"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) LookupCommand(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil || f.is(lookupFindsNothing) {
		return eventstore.Receipt{}, false, ctx.Err()
	}
	return f.lookup(eventstore.AppendRequest{Command: c})
}

func (f *flawed) DeleteStream(ctx context.Context, s eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.Validate(); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := expected.Validate(); err != nil {
		if !f.is(deletesNegative) {
			return eventstore.Receipt{}, err
		}
		expected = eventstore.Any
	}
	if ctx.Err() != nil && !f.is(ignoresContext) {
		return eventstore.Receipt{}, ctx.Err()
	}
	if f.deleted[s] && !f.is(deletesTwice) {
		return eventstore.Receipt{}, eventstore.ErrStreamDeleted
	}
	version := f.version(s)
	if version == 0 && !f.is(deletesMissing) || !expected.Accepts(version) && !f.is(deleteExpectsNothing) {
		return eventstore.Receipt{}, &eventstore.VersionConflictError{Stream: s, Expected: expected, Actual: version}
	}
	f.deleted[s] = true
	if f.is(deleteRemovesEvents) {
		f.log = slices.DeleteFunc(f.log, func(e eventstore.Recorded) bool { return e.Stream == s })
	}
	if f.is(noTombstone) {
		return eventstore.Receipt{Token: f.token(), Versions: map[eventstore.StreamID]eventstore.Version{s: version}}, nil
	}
	end := eventstore.EventData{ID: eventstore.NewEventID(), Type: eventstore.TombstoneType, SchemaVersion: 1}
	return f.write(eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: s, Events: []eventstore.EventData{end}}}}), nil
}

func (f *flawed) Capabilities(context.Context) (eventstore.Capabilities, error) {
	switch f.bug {
	case excludesAndDoes:
		return eventstore.Capabilities{Excluded: slices.Collect(maps.Keys(parts))}, nil
	case refusesAfterWriting:
		return eventstore.Capabilities{Excluded: []eventstore.Part{eventstore.SeveralStreams}}, nil
	case saysReadOnly:
		return eventstore.Capabilities{ReadOnly: true}, nil
	default:
		return eventstore.Capabilities{}, nil
	}
}

// unsupported refuses parts of the contract, each in a wrong way.
func (f *flawed) unsupported(r eventstore.AppendRequest) error {
	switch {
	case f.is(refusesUndeclared) && r.Condition != nil:
		return &eventstore.UnsupportedError{Part: eventstore.Conditions}
	case f.is(refusesAfterWriting) && len(r.Writes) > 1:
		f.write(eventstore.AppendRequest{Writes: r.Writes[:1]})
		return &eventstore.UnsupportedError{Part: eventstore.SeveralStreams}
	}
	return nil
}

func (f *flawed) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	for {
		f.mu.Lock()
		head, appended := f.head(), f.appended
		f.mu.Unlock()
		if head > beyond && !f.is(waitsForTheNext) || f.is(wakesAtOnce) {
			return nil
		}
		if f.is(deafToContext) {
			ctx = context.Background()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-appended:
			if f.is(wakesForNothing, waitsForTheNext) {
				return nil
			}
		}
	}
}

func (f *flawed) wake() {
	if f.is(wakesOne) {
		select {
		case f.appended <- struct{}{}:
		default:
		}
		return
	}
	close(f.appended)
	f.appended = make(chan struct{})
}

func (f *flawed) Head(ctx context.Context) (eventstore.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.is(ignoresContext) {
		return f.token(), nil
	}
	return f.token(), ctx.Err()
}

func (f *flawed) token() eventstore.Token {
	token := eventstore.Token{Identity: f.identity, Position: f.head()}
	switch f.bug {
	case headWithoutIdentity:
		token.Identity = eventstore.Identity{}
	case headStuck:
		token.Position = 0
	}
	return token
}

func (f *flawed) head() eventstore.Position {
	log := f.visible()
	if len(log) == 0 {
		return 0
	}
	return log[len(log)-1].Position
}

// visible is the part of the log that reads see.
func (f *flawed) visible() []eventstore.Recorded {
	if n := len(f.log); f.is(readsLag) && n > 0 {
		return f.log[:n-1]
	}
	return slices.Clone(f.log)
}

func (f *flawed) version(s eventstore.StreamID) (newest eventstore.Version) {
	for _, e := range f.log {
		if e.Stream == s {
			newest = e.Version
		}
	}
	return newest
}
