package postgres

import (
	"bytes"
	"strings"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

// page is some events in order, and the last row that was looked at for them: the next page
// goes on behind it. It is the last one if nothing follows.
type page struct {
	events  []eventstore.Recorded
	reached place
	last    bool
	fit     int // how many rows the next page may ask for
}

// next is where the page behind this one begins.
func (p page) next() resume { return resume{p.reached, p.fit} }

// resume is the place behind which a page begins, and how many rows it asks for at most.
type resume struct {
	place
	rows int
}

// pageScan collects the rows of a page: at most limit, and no more than fit in memory.
type pageScan struct {
	page
	limit int // how many rows the statement was asked for
	keep  func(eventstore.EventData) bool
	// follows checks a row against the one before it; nil checks nothing.
	follows func(before, row place) error
	end     proof

	rows, taken, size int
	half              int  // how many rows were taken when half of what fits was there
	cut               bool // there were more than fit; the rest is read over

	types, streams interned
	payloads       arena
}

func newPageScan(from resume) *pageScan {
	return &pageScan{page: page{reached: from.place}, limit: from.rows}
}

// scan takes a row that selects the columns of an event, or the one that proves the end of
// the read: it has no stream. Its slices are the connection's: what stays is copied.
func (p *pageScan) scan(row [][]byte) error {
	if row[1] == nil {
		p.end.take(row[3])
		return nil
	}
	p.rows++
	if p.cut {
		return nil
	}
	p.taken++
	e := eventstore.Recorded{
		EventData: eventstore.EventData{
			Type:          p.types.text(row[4]),
			SchemaVersion: int(readInt2(row[5])),
			Tags:          splitTags(row[7]),
		},
		Position:   eventstore.Position(readInt8(row[0])),
		Version:    eventstore.Version(readInt8(row[2])),
		RecordedAt: readTime(row[6]),
	}
	copy(e.ID[:], row[3])
	at := place{e.Position, e.Version}
	if p.follows != nil {
		if err := p.follows(p.reached, at); err != nil {
			return err
		}
	}
	p.reached = at
	if p.keep != nil && !p.keep(e.EventData) {
		return nil
	}
	e.Stream = eventstore.StreamID(p.streams.text(row[1]))
	e.Metadata, e.Data = p.payloads.cloned(row[8], row[9])
	if p.events == nil {
		p.events = *buffers.Get().(*[]eventstore.Recorded)
	}
	p.events = append(p.events, e)
	p.size += len(e.Data) + len(e.Metadata)
	if p.half == 0 && p.size >= pageBytes/2 {
		p.half = p.taken
	}
	p.cut = p.size >= pageBytes
	return nil
}

// done returns the page. It is the last one if the statement had no more rows than were
// taken.
func (p *pageScan) done() page {
	p.last = p.rows < p.limit && !p.cut
	p.fit = p.fits()
	return p.page
}

// fits returns how many rows the next page may ask for. What does not fit is sent for
// nothing, and then again: if a page was cut, the next one is made for rows like its last
// ones. If not, it grows, by steps, as larger rows may follow.
func (p *pageScan) fits() int {
	const growth = 8
	if p.cut {
		return max(1, 2*(p.taken-p.half))
	}
	return min(pageEvents, growth*p.limit, max(1, p.taken)*pageBytes/max(1, p.size))
}

// buffers are for the events of pages. The loop body gets copies of them, so that a page that
// has been read makes room for the next one.
var buffers = sync.Pool{New: func() any { return new([]eventstore.Recorded) }}

// recycle gives up the page's events.
func (p page) recycle() {
	if cap(p.events) == 0 {
		return
	}
	clear(p.events) // what they point to is the caller's now
	events := p.events[:0]
	buffers.Put(&events)
}

// arena makes one allocation for the bytes of several events. Who keeps one of them keeps a
// block, so blocks are small, and the first ones of a short read smaller.
type arena struct {
	free []byte
	size int
}

const (
	firstBlock = 1 << 10
	lastBlock  = 8 << 10
)

// cloned copies both. No metadata is nil.
func (a *arena) cloned(metadata, data []byte) (m, d []byte) {
	both := a.take(len(metadata) + len(data))
	copy(both[copy(both, metadata):], data)
	d = both[len(metadata):]
	if len(metadata) > 0 {
		m = both[:len(metadata):len(metadata)]
	}
	return m, d
}

// take returns n bytes that nobody else has, and whose capacity ends with them.
func (a *arena) take(n int) []byte {
	if n > lastBlock/4 {
		return make([]byte, n)
	}
	if n > len(a.free) || a.free == nil {
		a.size = min(max(2*a.size, firstBlock), lastBlock)
		a.free = make([]byte, max(n, a.size))
	}
	taken := a.free[:n:n]
	a.free = a.free[n:]
	return taken
}

func splitTags(lines []byte) []eventstore.Tag {
	if len(lines) == 0 {
		return nil
	}
	tags := make([]eventstore.Tag, 0, 1+bytes.Count(lines, []byte("\n")))
	for text := range strings.SplitSeq(string(lines), "\n") {
		tags = append(tags, eventstore.Tag(text))
	}
	return tags
}

// interned keeps the last few texts of a column: neighbours often share one.
type interned struct {
	texts [8]string
	next  int
}

func (i *interned) text(b []byte) string {
	for _, known := range i.texts {
		if len(known) == len(b) && known == string(b) {
			return known
		}
	}
	text := string(b)
	i.texts[i.next%len(i.texts)] = text
	i.next++
	return text
}
