package postgres

import (
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// parameters is what a call of leftfold.append carries: an array for each column. Its buffers
// are used again for the next batch.
type parameters struct {
	writes struct {
		appends, keys, expected, counts, streams column
	}
	events struct {
		writes, nths, ids, keys, slices, schemaVersions, streams, types, tags, metadata, data column
	}
	commands struct {
		appends, ids, hashes column
	}
	conditions struct {
		appends, afters, untagged, tags, types column
	}
	lives struct {
		appends, incarnations column
	}
}

// column is an array of values of one type, one for each row.
type column struct {
	encoder

	length, nulls int
}

// arrayHeader is the room for the head of an array, whose length is known at the end.
const arrayHeader = 20

// next makes room for the head of the array before the first value is written.
func (c *column) next() *encoder {
	if c.length == 0 {
		c.b = append(c.b[:0], make([]byte, arrayHeader)...)
	}
	c.length++
	return &c.encoder
}

func (c *column) nextNull() {
	c.next().null()
	c.nulls++
}

// array returns the column as an array of the type.
func (c *column) array(element uint32) []byte {
	if c.length == 0 {
		return emptyArray(element)
	}
	head := encoder{c.b[:0]}
	head.arrayHead(element, c.length, c.nulls > 0)
	return c.b
}

// orNull returns NULL for a column that holds nothing but NULLs.
func (c *column) orNull(element uint32) []byte {
	if c.length == c.nulls {
		return nil
	}
	return c.array(element)
}

// Expected versions that are no versions, as leftfold.append has them.
const (
	expectAny     = -1
	expectExists  = -2
	expectNothing = -3 // no version at all will do
)

// noIncarnation is none that a store can be in.
const noIncarnation = -1

func (p *parameters) encode(appends []*groupcommit.Pending, store eventstore.StoreID) {
	w, e, c, d, l := &p.writes, &p.events, &p.commands, &p.conditions, &p.lives
	for _, used := range []*column{
		&w.appends, &w.keys, &w.expected, &w.counts, &w.streams,
		&e.writes, &e.nths, &e.ids, &e.keys, &e.slices, &e.schemaVersions, &e.streams, &e.types, &e.tags, &e.metadata, &e.data,
		&c.appends, &c.ids, &c.hashes, &d.appends, &d.afters, &d.untagged, &d.tags, &d.types, &l.appends, &l.incarnations,
	} {
		used.length, used.nulls = 0, 0
	}
	for n, a := range appends {
		p.append(n+1, a.Request, store)
	}
}

// values returns the parameters of leftfold.append. The writer is nil where its caller settles
// what becomes of the batch, and applies is the number of the inline projections.
func (p *parameters) values(writer []byte, session, fences int64, known eventstore.Position, applies int64) [][]byte {
	w, e, c, d, l := &p.writes, &p.events, &p.commands, &p.conditions, &p.lives
	return [][]byte{
		writer, bigint(session), bigint(fences), position(known),
		w.appends.array(oidInt4), w.keys.array(oidUUID), w.expected.array(oidInt8), w.counts.array(oidInt4), w.streams.orNull(oidText),
		e.writes.array(oidInt4), e.nths.array(oidInt4), e.ids.array(oidUUID), e.keys.array(oidUUID), e.slices.array(oidInt2), e.schemaVersions.array(oidInt2), e.streams.array(oidText), e.types.array(oidText),
		e.tags.orNull(oidText), e.metadata.orNull(oidBytea), e.data.array(oidBytea),
		c.appends.orNull(oidInt4), c.ids.orNull(oidUUID), c.hashes.orNull(oidUUID),
		d.appends.orNull(oidInt4), d.afters.orNull(oidInt8), d.untagged.orNull(oidBool), d.tags.orNull(oidText), d.types.orNull(oidText),
		l.appends.orNull(oidInt4), l.incarnations.orNull(oidInt4),
		bigint(applies),
	}
}

// isPlain reports whether leftfold.append_one can make the batch: one event, of a stream whose
// version is known, for the life of the log that the session has: no server that began as one
// that takes appends is promoted under it.
func isPlain(appends []*groupcommit.Pending, identity eventstore.Identity) bool {
	r := appends[0].Request
	if len(appends) > 1 || len(r.Writes) != 1 || len(r.Writes[0].Events) != 1 || !r.Command.ID.IsZero() || r.Condition != nil || r.CheckLife(identity) != nil {
		return false
	}
	w := r.Writes[0]
	return expected(w) >= 0 && !isTombstone(w) && len(w.Events[0].Tags) == 0
}

// oneValues returns the parameters of leftfold.append_one for a write of one event.
func oneValues(fences int64, known eventstore.Position, w eventstore.Write) [][]byte {
	key, event := streamKey(w.Stream), w.Events[0]
	return [][]byte{
		bigint(fences), position(known), key[:], bigint(expected(w)), int2(int(w.Stream.Slice())), []byte(w.Stream),
		event.ID[:], int2(event.SchemaVersion), []byte(event.Type), noneIsNull(event.Metadata), notNull(event.Data),
	}
}

func (p *parameters) append(n int, r eventstore.AppendRequest, store eventstore.StoreID) {
	for _, w := range r.Writes {
		p.write(n, w, !r.Command.ID.IsZero())
	}
	if !r.Command.ID.IsZero() {
		c := &p.commands
		c.appends.next().int4(n)
		c.ids.next().raw(r.Command.ID[:])
		c.hashes.next().raw(r.Command.Hash[:])
	}
	if r.Condition != nil {
		p.condition(n, *r.Condition)
	}
	if r.Life != (eventstore.Identity{}) {
		incarnation := int(r.Life.Incarnation)
		if r.Life.Store != store { // the server compares incarnations only
			incarnation = noIncarnation
		}
		p.lives.appends.next().int4(n)
		p.lives.incarnations.next().int4(incarnation)
	}
}

func (p *parameters) write(n int, w eventstore.Write, remembered bool) {
	key := streamKey(w.Stream)
	c := &p.writes
	c.appends.next().int4(n)
	c.keys.next().raw(key[:])
	c.expected.next().int8(expected(w))
	c.counts.next().int4(len(w.Events))
	if remembered {
		c.streams.next().text(string(w.Stream))
	} else {
		c.streams.nextNull()
	}
	slice := int(w.Stream.Slice())
	for nth, event := range w.Events {
		e := &p.events
		e.keys.next().raw(key[:])
		e.slices.next().int2(slice)
		e.streams.next().text(string(w.Stream))
		p.event(nth+1, event)
	}
}

// expected returns the write's expectation as leftfold.append has it. A tombstone asks for a
// stream that exists, whatever its caller believes.
func expected(w eventstore.Write) int64 {
	version, named := w.Expected.Version()
	switch {
	case named && version == 0 && isTombstone(w):
		return expectNothing
	case named:
		return int64(version)
	case w.Expected == eventstore.StreamExists || isTombstone(w):
		return expectExists
	default:
		return expectAny
	}
}

func isTombstone(w eventstore.Write) bool {
	return len(w.Events) == 1 && w.Events[0].Type == eventstore.TombstoneType
}

func (p *parameters) event(nth int, event eventstore.EventData) {
	c := &p.events
	c.writes.next().int4(p.writes.keys.length)
	c.nths.next().int4(nth)
	c.ids.next().raw(event.ID[:])
	c.schemaVersions.next().int2(event.SchemaVersion)
	c.types.next().text(event.Type)
	lines(&c.tags, event.Tags)
	if len(event.Metadata) == 0 {
		c.metadata.nextNull()
	} else {
		c.metadata.next().raw(event.Metadata)
	}
	c.data.next().raw(event.Data)
}

// lines writes names one a line, or NULL for none. No name has a line break: it would not be
// printable.
func lines[S ~string](c *column, names []S) {
	if len(names) == 0 {
		c.nextNull()
		return
	}
	e := c.next()
	start := len(e.b)
	e.int32(0)
	for n, name := range names {
		if n > 0 {
			e.b = append(e.b, '\n')
		}
		e.b = append(e.b, name...)
	}
	e.end(start)
}

// condition writes a row for each item of the query; a query without items matches all.
func (p *parameters) condition(n int, condition eventstore.Condition) {
	items := condition.FailIf.Items
	if len(items) == 0 {
		items = []eventstore.QueryItem{{}}
	}
	c := &p.conditions
	for _, item := range items {
		c.appends.next().int4(n)
		c.afters.next().int8(int64(condition.After))
		c.untagged.next().bool(!condition.FailIf.Tagged())
		lines(&c.tags, item.Tags)
		lines(&c.types, item.Types)
	}
}
