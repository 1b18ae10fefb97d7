package postgres

import (
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// parameters is what a call of leftfold.append carries. Its buffers are used again for the
// next batch.
type parameters struct {
	types compositeTypes

	writes, events, commands, conditions encoder
	counts                               struct{ writes, events, commands, conditions int }
	tagged                               bool
}

// compositeTypes are the OIDs of our types, which differ from database to database.
type compositeTypes struct{ write, event, command, condition uint32 }

func (t *compositeTypes) scan(row [][]byte) error {
	for n, oid := range []*uint32{&t.write, &t.event, &t.command, &t.condition} {
		*oid = uint32(readInt4(row[n]))
	}
	return nil
}

// Expected versions that are no versions, as leftfold.new_write has them.
const (
	expectAny     = -1
	expectExists  = -2
	expectNothing = -3 // no version at all will do
)

// arrayHeader is the room for the head of an array, whose length is known at the end.
const arrayHeader = 20

func (p *parameters) encode(appends []*groupcommit.Pending) {
	p.reset()
	for n, a := range appends {
		p.append(n+1, a.Request)
	}
}

func (p *parameters) reset() {
	for _, e := range []*encoder{&p.writes, &p.events, &p.commands, &p.conditions} {
		e.b = append(e.b[:0], make([]byte, arrayHeader)...)
	}
	p.counts.writes, p.counts.events, p.counts.commands, p.counts.conditions = 0, 0, 0, 0
	p.tagged = false
}

// values returns the parameters of leftfold.append. The writer is nil where its caller settles
// what becomes of the batch.
func (p *parameters) values(writer []byte, session int64) [][]byte {
	return [][]byte{
		writer,
		bigint(session),
		finished(&p.writes, p.types.write, p.counts.writes),
		finished(&p.events, p.types.event, p.counts.events),
		boolean(p.tagged),
		orNone(finished(&p.commands, p.types.command, p.counts.commands), p.counts.commands),
		orNone(finished(&p.conditions, p.types.condition, p.counts.conditions), p.counts.conditions),
	}
}

// finished writes the head of an array over the room that was left for it.
func finished(e *encoder, element uint32, length int) []byte {
	if length == 0 {
		head := encoder{b: e.b[:0]}
		head.int32(0) // an empty array has no dimension
		head.int32(0)
		head.int32(int(element))
		return head.b
	}
	head := encoder{b: e.b[:0]}
	head.array(element, length)
	return e.b
}

func orNone(array []byte, length int) []byte {
	if length == 0 {
		return nil
	}
	return array
}

func (p *parameters) append(n int, r eventstore.AppendRequest) {
	for _, w := range r.Writes {
		p.write(n, w, !r.Command.ID.IsZero())
	}
	if !r.Command.ID.IsZero() {
		p.command(n, r.Command)
	}
	if r.Condition != nil {
		p.condition(n, *r.Condition)
	}
}

func (p *parameters) write(n int, w eventstore.Write, remembered bool) {
	p.counts.writes++
	key := streamKey(w.Stream)
	e := &p.writes
	start := e.composite(5)
	e.int32(oidInt4)
	e.int4(n)
	e.int32(oidUUID)
	e.raw(key[:])
	e.int32(oidInt8)
	e.int8(expected(w))
	e.int32(oidInt4)
	e.int4(len(w.Events))
	e.int32(oidText)
	if remembered {
		e.text(string(w.Stream))
	} else {
		e.null()
	}
	e.end(start)

	slice := int(w.Stream.Slice())
	for nth, event := range w.Events {
		p.event(nth+1, slice, w.Stream, event)
	}
}

// expected returns the write's expectation as leftfold.new_write has it. A tombstone asks
// for a stream that exists, whatever its caller believes.
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

func (p *parameters) event(nth, slice int, stream eventstore.StreamID, event eventstore.EventData) {
	p.counts.events++
	e := &p.events
	start := e.composite(10)
	e.int32(oidInt4)
	e.int4(p.counts.writes)
	e.int32(oidInt4)
	e.int4(nth)
	e.int32(oidUUID)
	e.raw(event.ID[:])
	e.int32(oidInt2)
	e.int2(slice)
	e.int32(oidInt2)
	e.int2(event.SchemaVersion)
	e.int32(oidText)
	e.text(string(stream))
	e.int32(oidText)
	e.text(event.Type)
	e.int32(oidText)
	p.tags(event.Tags)
	e.int32(oidBytea)
	e.orNull(event.Metadata)
	e.int32(oidBytea)
	e.raw(event.Data)
	e.end(start)
}

// tags are one a line; a tag has no line break.
func (p *parameters) tags(tags []eventstore.Tag) {
	if len(tags) == 0 {
		p.events.null()
		return
	}
	p.tagged = true
	lines := make([]string, len(tags))
	for n, tag := range tags {
		lines[n] = string(tag)
	}
	p.events.text(strings.Join(lines, "\n"))
}

func (p *parameters) command(n int, c eventstore.Command) {
	p.counts.commands++
	e := &p.commands
	start := e.composite(3)
	e.int32(oidInt4)
	e.int4(n)
	e.int32(oidUUID)
	e.raw(c.ID[:])
	e.int32(oidUUID)
	e.raw(c.Hash[:])
	e.end(start)
}

// condition writes a row for each item of the query; a query without items matches all.
func (p *parameters) condition(n int, c eventstore.Condition) {
	items := c.FailIf.Items
	if len(items) == 0 {
		items = []eventstore.QueryItem{{}}
	}
	for _, item := range items {
		p.counts.conditions++
		e := &p.conditions
		start := e.composite(5)
		e.int32(oidInt4)
		e.int4(n)
		e.int32(oidInt8)
		e.int8(int64(c.After))
		e.int32(oidBool)
		e.bool(!c.FailIf.Tagged())
		e.int32(oidTexts)
		e.orNull(texts(item.Tags))
		e.int32(oidTexts)
		e.orNull(texts(item.Types))
		e.end(start)
	}
}
