package eventstoretest

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

var portableClauses = []clause{
	{"commands are read in the order of their ids, as they were remembered", commandsRead},
	{"commands that were remembered behind a position are not read", commandsThrough},
	{"commands are not read up to an event that the log has not", commandsThroughAnother},
	{"an imported log is the log that was recorded, in a new incarnation", importedLog},
	{"nobody appends while a log is imported", importingRefuses},
	{"a log is imported into an empty store", importIntoEmpty},
	{"an import goes on where it was left", importGoesOn},
	{"an import ends where its log ends", importEnds},
	{"nothing is imported into a store that was made anew, nor is its import ended", importOfAnotherLife},
	{"what does not follow the log is not imported, nor what stands beside it", importRefuses},
	{"an import whose context is over gives its error and changes nothing", importCancelled},
}

func (c *check) portable() eventstore.Portable {
	p, ok := c.store.(eventstore.Portable)
	if !ok {
		c.skip("the store is no eventstore.Portable")
	}
	if can, err := eventstore.CapabilitiesOf(c.ctx, c.store); err == nil && can.Excludes(eventstore.Importing) {
		c.skip("the store excludes " + string(eventstore.Importing))
	}
	return p
}

// exported is all that a store has, as an export takes it.
type exported struct {
	identity eventstore.Identity
	events   []eventstore.Recorded
	commands []eventstore.RememberedCommand
}

// export fills the store with everything that an export must keep, and takes it.
func (c *check) export() exported {
	c.portable()
	c.append(named(eventstore.AppendRequest{}, "before all", ""))
	c.shop()
	binary := event("binary", "k:1", "a:2")
	binary.Data, binary.Metadata, binary.SchemaVersion = everyByte(), []byte{0}, 7
	c.append(named(to("binary-1", binary, event("empty")), "binary", "payload"))
	_, err := c.store.(eventstore.StreamDeleter).DeleteStream(c.ctx, "note-1", eventstore.Any)
	c.must(err, "delete a stream")
	c.append(named(to("order-4", event("placed")), "place", ""))
	return c.all()
}

func (c *check) all() exported {
	return exported{c.identity(), c.log(eventstore.LogQuery{}), c.commands(c.lastEvent())}
}

// lastEvent is the newest event of the log.
func (c *check) lastEvent() eventstore.Anchor {
	read, err := c.store.ReadLog(c.ctx, eventstore.LogQuery{})
	c.must(err, "read the log")
	return read.Through
}

func (c *check) commands(through eventstore.Anchor) (all []eventstore.RememberedCommand) {
	for command, err := range c.portable().ReadCommands(c.ctx, through) {
		c.must(err, "read the commands")
		all = append(all, command)
	}
	return all
}

// elsewhere makes another store the clause's own.
func (c *check) elsewhere() eventstore.Portable {
	c.store = c.another()
	return c.portable()
}

func (c *check) imported(from exported) {
	i := c.beginImport(from)
	half := len(from.events) / 2
	i.take(from.events[:half], nil)
	i.take(from.events[half:], from.commands)
	i.end()
}

// anImport is one that is under way.
type anImport struct {
	*check
	into eventstore.Portable
	life eventstore.Identity
}

func (c *check) beginImport(of exported) anImport {
	into := c.portable()
	life, err := into.BeginImport(c.ctx, of.identity.Store)
	c.must(err, "begin the import")
	equal(c, "life that the import is for", life, c.identity())
	return anImport{c, into, life}
}

func (i anImport) of(events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	return i.into.Import(i.ctx, i.life, events, commands)
}

func (i anImport) take(events []eventstore.Recorded, commands []eventstore.RememberedCommand) {
	i.must(i.of(events, commands), "import %d events and %d commands", len(events), len(commands))
}

func (i anImport) end() { i.must(i.endAt(i.head()), "end the import") }

func (i anImport) endAt(end eventstore.Position) error {
	return i.into.EndImport(i.ctx, eventstore.Token{Identity: i.life, Position: end})
}

func commandsRead(c *check) {
	c.portable()
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	for _, name := range names {
		c.append(named(to("order-1", event(name)), name, name))
	}
	empty := c.append(named(eventstore.AppendRequest{}, "nothing", ""))
	log, all := c.log(eventstore.LogQuery{}), c.commands(c.lastEvent())
	equal(c, "commands", len(all), len(names)+1)
	for n, got := range all {
		if n > 0 && bytes.Compare(all[n-1].ID[:], got.ID[:]) >= 0 {
			c.fatalf("command %s comes behind %s", got.ID, all[n-1].ID)
		}
	}
	for n, name := range names {
		got := c.find(all, name)
		equal(c, "hash", got.Hash, command(name, name).Hash)
		equal(c, "position", got.Position, log[n].Position)
		equal(c, "version", got.Versions["order-1"], log[n].Version)
		equal(c, "streams", len(got.Versions), 1)
		equal(c, "time", got.RecordedAt, log[n].RecordedAt)
	}
	got := c.find(all, "nothing")
	equal(c, "position of an append of nothing", got.Position, empty.Token.Position)
	equal(c, "streams of an append of nothing", len(got.Versions), 0)
}

func (c *check) find(all []eventstore.RememberedCommand, name string) eventstore.RememberedCommand {
	at := slices.IndexFunc(all, func(r eventstore.RememberedCommand) bool { return r.ID == eventstore.NewCommandID(name) })
	if at < 0 {
		c.fatalf("command %q is not read", name)
	}
	return all[at]
}

func commandsThrough(c *check) {
	c.portable()
	c.append(named(to("order-1", event("a")), "first", ""))
	c.append(named(to("order-1", event("b")), "second", ""))
	equal(c, "commands through 0", len(c.commands(eventstore.Anchor{})), 0)
	through := c.commands(anchorOf(c.log(eventstore.LogQuery{})[0]))
	equal(c, "commands through 1", len(through), 1)
	equal(c, "its position", c.find(through, "first").Position, 1)
}

func anchorOf(e eventstore.Recorded) eventstore.Anchor {
	return eventstore.Anchor{Position: e.Position, EventID: e.ID}
}

func commandsThroughAnother(c *check) {
	c.portable()
	c.append(named(to("order-1", event("a")), "first", ""))
	c.append(named(to("order-1", event("b")), "second", ""))
	read := func(through eventstore.Anchor) error {
		for _, err := range c.portable().ReadCommands(c.ctx, through) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	another := eventstore.Anchor{Position: 1, EventID: c.lastEvent().EventID}
	c.is(read(another), eventstore.ErrDiverged, "read the commands up to another event")
	another.Position = 3
	if err := read(another); !errors.Is(err, eventstore.ErrAheadOfLog) && !errors.Is(err, eventstore.ErrStoreBusy) {
		c.fatalf("read the commands up to an event behind the log: got error %v, want %q or %q", err, eventstore.ErrAheadOfLog, eventstore.ErrStoreBusy)
	}
}

func importedLog(c *check) {
	source := c.export()
	deleted := source.events[len(source.events)-2].Stream
	c.elsewhere()
	was := c.identity()
	c.imported(source)
	got := c.all()
	equal(c, "store", got.identity.Store, source.identity.Store)
	equal(c, "it is in an incarnation that it or its source has been in", got.identity.Incarnation == was.Incarnation || got.identity.Incarnation == source.identity.Incarnation, false)
	c.same("log", got.events, source.events)
	if !slices.EqualFunc(got.commands, source.commands, eventstore.RememberedCommand.Equal) {
		c.fatalf("commands: got %+v, want %+v", got.commands, source.commands)
	}
	for _, q := range queries {
		query := eventstore.LogQuery{Query: q.query, Through: 8}
		c.same(q.name, c.log(query), within(source.events, query))
	}
	c.same("stream", c.stream("order-2", eventstore.StreamRange{}), []eventstore.Recorded{source.events[2], source.events[7]})
	_, err := collect(c.store.ReadStream(c.ctx, deleted, eventstore.StreamRange{}))
	c.is(err, eventstore.ErrStreamDeleted, "read a stream that was deleted where it was recorded")
	anImport{c, c.portable(), got.identity}.end() // again, as after a lost answer
}

func importingRefuses(c *check) {
	source := c.export()
	c.elsewhere()
	i := c.beginImport(source)
	c.locked(to("order-1", event("a")), "before the first event")
	c.locked(named(eventstore.AppendRequest{}, "nothing", ""), "an append of nothing")
	i.take(source.events[:3], nil)
	c.locked(to("order-9", event("a")), "half-way")
	c.locked(expecting(eventstore.NoStream, "order-9", event("a")), "half-way, of one event at a known version")
	c.same("log", c.log(eventstore.LogQuery{}), source.events[:3])
}

// locked appends what must be refused during an import. A store that was open before may say that it is
// another one now; one that is opened afterwards says [eventstore.ErrImporting], see reopenedImporting.
func (c *check) locked(request eventstore.AppendRequest, why string) {
	before := c.head()
	_, err := c.store.Append(c.ctx, request)
	if err == nil || errors.Is(err, eventstore.ErrOutcomeUnknown) {
		c.fatalf("append (%s): got error %v, want it refused", why, err)
	}
	equal(c, "head after a refused append ("+why+")", c.head(), before)
}

func importIntoEmpty(c *check) {
	source := c.export()
	begin := func(why string, id eventstore.StoreID) {
		before := c.identity()
		_, err := c.portable().BeginImport(c.ctx, id)
		c.is(err, eventstore.ErrNotEmpty, "begin an import into a store %s", why)
		equal(c, "identity", c.identity(), before)
	}
	begin("that has events", eventstore.NewStoreID())
	begin("that has events, and the same id", source.identity.Store)
	c.append(to("order-1", event("a"))) // it is no import that lets nobody append

	c.elsewhere()
	c.append(named(eventstore.AppendRequest{}, "nothing", ""))
	begin("that remembers a command", eventstore.NewStoreID())

	c.elsewhere()
	c.beginImport(source)
	begin("that imports another one", eventstore.NewStoreID())

	c.elsewhere()
	c.imported(source)
	begin("that has been imported", source.identity.Store)
}

func importGoesOn(c *check) {
	source := c.export()
	c.elsewhere()
	for n := range source.events {
		c.beginImport(source).take(source.events[n:n+1], nil)
	}
	identity := c.identity()
	for range 2 { // as after a lost answer
		c.beginImport(source).take(nil, source.commands)
	}
	c.beginImport(source).end()
	got := c.all()
	equal(c, "identity", got.identity, identity)
	c.same("log", got.events, source.events)
	equal(c, "commands", len(got.commands), len(source.commands))
}

// importEnds: two import the same store, an export of it and a longer one.
func importEnds(c *check) {
	source := c.export()
	c.elsewhere()
	longer, shorter := c.beginImport(source), c.beginImport(source)
	shorter.take(source.events[:3], nil)
	longer.take(source.events[3:4], nil)
	c.is(shorter.endAt(3), eventstore.ErrInvalid, "end the shorter import in the midst of the longer")
	c.is(longer.endAt(5), eventstore.ErrInvalid, "end an import before all is there")
	c.locked(to("order-1", event("a")), "after ends that were refused")
	longer.take(source.events[4:], source.commands)
	longer.end()
	c.is(longer.endAt(c.head()+1), eventstore.ErrInvalid, "end an import behind the log, when it has ended")
}

// importOfAnotherLife: an import stops for a while, and goes on in a store that was made anew.
func importOfAnotherLife(c *check) {
	source := c.export()
	c.elsewhere()
	old := c.beginImport(source)
	c.elsewhere()
	now := c.beginImport(source)
	old.into = now.into
	end := func() error { return old.endAt(0) }
	add := func() error { return old.of(source.events[:1], nil) }
	for _, late := range []func() error{add, end} {
		c.is(late(), eventstore.ErrDiverged, "go on with an import of the same store")
	}
	c.locked(to("order-1", event("a")), "an import that was given up has not ended another one")
	equal(c, "head", c.head(), 0)
	old.life.Store, old.life.Incarnation = eventstore.NewStoreID(), now.life.Incarnation
	for _, late := range []func() error{add, end} {
		c.is(late(), eventstore.ErrForeignToken, "go on with an import of another store")
	}
	now.take(source.events, source.commands)
	now.end()
	c.is(end(), eventstore.ErrForeignToken, "end an import that was given up, when another one has ended")
}

func importRefuses(c *check) {
	source := c.export()
	i := anImport{c, c.elsewhere(), c.identity()}
	c.is(i.of(source.events[:1], nil), eventstore.ErrInvalid, "import before it is begun")
	i = c.beginImport(source)
	events, commands := source.events, source.commands
	tombstone := slices.IndexFunc(events, func(e eventstore.Recorded) bool { return e.Type == eventstore.TombstoneType })
	changed := func(at int, change func(e *eventstore.Recorded)) []eventstore.Recorded {
		all := slices.Clone(events)
		change(&all[at])
		return all
	}
	refuses := func(why string, events []eventstore.Recorded, commands []eventstore.RememberedCommand) {
		before := c.all()
		c.is(i.of(events, commands), eventstore.ErrInvalid, "import %s", why)
		c.same("log after "+why, c.log(eventstore.LogQuery{}), before.events)
		equal(c, "commands after "+why, len(c.commands(c.lastEvent())), len(before.commands))
	}
	refuses("a log without its beginning", events[1:], nil)
	refuses("a log with a gap", slices.Concat(events[:2], events[3:]), nil)
	refuses("an event twice", slices.Concat(events[:2], events[1:2]), nil)
	refuses("a stream from its second version", changed(2, func(e *eventstore.Recorded) { e.Version = 2 }), nil)
	refuses("a stream with a gap", changed(1, func(e *eventstore.Recorded) { e.Version = 3 }), nil)
	refuses("an event without an id", changed(1, func(e *eventstore.Recorded) { e.ID = eventstore.EventID{} }), nil)
	refuses("a name that no append would take", changed(1, func(e *eventstore.Recorded) { e.Type = "$mine" }), nil)
	refuses("an event of a deleted stream", changed(tombstone+1, func(e *eventstore.Recorded) {
		e.Stream, e.Version = events[tombstone].Stream, events[tombstone].Version+1
	}), nil)
	refuses("a command behind the log", events[:2], commands)
	refuses("commands out of order", events, []eventstore.RememberedCommand{commands[1], commands[0]})

	i.take(events[:tombstone+1], nil)
	refuses("the same events again", events[:tombstone+1], nil)
	after := events[tombstone+1]
	after.Stream, after.Version = events[tombstone].Stream, events[tombstone].Version+1
	refuses("an event of a stream that is deleted", []eventstore.Recorded{after}, nil)
	after = events[tombstone+1]
	after.Version = 5
	refuses("a stream that is not there from its fifth version", []eventstore.Recorded{after}, nil)

	i.take(events[tombstone+1:], commands)
	other := slices.Clone(commands)
	other[0].RecordedAt = other[0].RecordedAt.Add(time.Second)
	refuses("another command under an id that is known", nil, other)
	i.end()
	refuses("when it has ended", nil, commands)
}

func importCancelled(c *check) {
	source := c.export()
	into, over := c.elsewhere(), c.cancelled()
	before := c.identity()
	_, err := into.BeginImport(over, source.identity.Store)
	c.is(err, over.Err(), "begin with a cancelled context")
	equal(c, "identity", c.identity(), before)
	life := c.beginImport(source).life
	c.is(into.Import(over, life, source.events, nil), over.Err(), "import with a cancelled context")
	equal(c, "head", c.head(), 0)
	c.is(into.EndImport(over, eventstore.Token{Identity: life}), over.Err(), "end with a cancelled context")
	c.locked(to("order-1", event("a")), "it has not ended")
}

func reopenedImported(c *check) {
	source := c.export()
	c.elsewhere()
	c.imported(source)
	c.reopen()
	equal(c, "store", c.identity().Store, source.identity.Store)
	c.repeats(c.append(named(to("order-4", event("placed")), "place", "")), eventstore.Receipt{
		Token:    eventstore.Token{Identity: c.identity(), Position: c.find(source.commands, "place").Position},
		Versions: c.find(source.commands, "place").Versions,
	})
	c.refused(to("note-1", event("x")), eventstore.ErrStreamDeleted, "a stream that was deleted where it was recorded")
	receipt := c.append(expecting(eventstore.Exactly(1), "order-4", event("paid")))
	equal(c, "position", receipt.Token, eventstore.Token{Identity: c.identity(), Position: eventstore.Position(len(source.events)) + 1})
	c.same("log", c.log(eventstore.LogQuery{Through: receipt.Token.Position - 1}), source.events)
	again := anImport{c, c.portable(), c.identity()}
	c.must(again.endAt(receipt.Token.Position-1), "end the import again, when others have appended")
}

func reopenedImporting(c *check) {
	source := c.export()
	c.elsewhere()
	c.beginImport(source).take(source.events[:3], nil)
	c.reopen()
	c.refused(to("order-9", event("a")), eventstore.ErrImporting, "half-way")
	i := c.beginImport(source)
	i.take(source.events[3:], source.commands)
	i.end()
	c.same("log", c.log(eventstore.LogQuery{}), source.events)
}
