package sqlite

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// page is some events in order. It is the last one if nothing follows.
type page struct {
	events []eventstore.Recorded
	last   bool
}

// scanPage reads rows that select the columns of an event, as far as a page goes, and
// passes by those that keep does not want. It closes the rows.
func scanPage(rows *sql.Rows, limit int, keep func(eventstore.EventData) bool) (page, error) {
	defer rows.Close() // rows.Err tells
	var p page
	var r row
	columns := r.columns()
	for size := 0; len(p.events) < limit && size < pageBytes; {
		if !rows.Next() {
			p.last = true
			return p, rows.Err()
		}
		if err := rows.Scan(columns...); err != nil {
			return page{}, fmt.Errorf("read an event: %w", err)
		}
		if e := r.recorded(); keep(e.EventData) {
			p.events = append(p.events, e)
			size += len(e.Data) + len(e.Metadata)
		}
	}
	return p, nil
}

// row is where one row is scanned to. Its types are those that the driver delivers:
// into ours, database/sql would convert by reflection and by way of text, which takes
// a third of the time of a replay.
type row struct {
	position, version, schemaVersion, recordedAt int64
	stream, kind                                 string
	id, tags                                     sql.RawBytes
	metadata, data                               []byte
}

func (r *row) columns() []any {
	return []any{&r.position, &r.stream, &r.version, &r.id, &r.kind, &r.schemaVersion, &r.recordedAt, &r.tags, &r.metadata, &r.data}
}

func (r *row) recorded() eventstore.Recorded {
	e := eventstore.Recorded{
		EventData: eventstore.EventData{
			Type:          r.kind,
			SchemaVersion: int(r.schemaVersion),
			Tags:          splitTags(r.tags),
			Data:          r.data,
			Metadata:      r.metadata,
		},
		Stream:     eventstore.StreamID(r.stream),
		Version:    eventstore.Version(r.version),
		Position:   eventstore.Position(r.position),
		RecordedAt: time.UnixMicro(r.recordedAt).UTC(),
	}
	copy(e.ID[:], r.id)
	return e
}

func splitTags(lines []byte) []eventstore.Tag {
	if len(lines) == 0 {
		return nil
	}
	texts := strings.Split(string(lines), "\n")
	tags := make([]eventstore.Tag, len(texts))
	for n, text := range texts {
		tags[n] = eventstore.Tag(text)
	}
	return tags
}

func everything(eventstore.EventData) bool { return true }
