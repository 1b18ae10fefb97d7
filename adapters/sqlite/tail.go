package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// tail is the end of the log inside a write transaction. The head is read there each
// time and never kept: another process may have appended since.
type tail struct {
	tx       *transaction
	identity eventstore.Identity
	head     eventstore.Position
	now      time.Time
	written  bool

	last     eventstore.EventID // of the events that were written
	inline   int64              // the number of what appends must apply
	collects bool               // recorded has the events of the append
	recorded []eventstore.Recorded
}

func openLog(ctx context.Context, tx *transaction, now time.Time) (*tail, error) {
	token, inline, err := headAndInline(ctx, tx)
	if err != nil {
		return nil, err
	}
	return &tail{tx: tx, identity: token.Identity, head: token.Position, inline: inline, now: now.UTC().Truncate(time.Microsecond)}, nil
}

// refusal is an append's own error: the log was not changed, and the batch goes on.
type refusal struct{ error }

// append checks one append against the log as it is, which includes the appends before
// it in the same transaction, and writes it if nothing stands against it.
func (t *tail) append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	first, known, err := lookup(ctx, t.tx, t.identity, request.Command)
	if errors.Is(err, eventstore.ErrIdempotencyMismatch) {
		return eventstore.Receipt{}, refusal{err}
	}
	if known || err != nil {
		return first, err
	}
	versions, err := t.check(ctx, request)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	for _, w := range request.Writes {
		if err := t.write(ctx, w, versions[w.Stream]); err != nil {
			return eventstore.Receipt{}, err
		}
		versions[w.Stream] += eventstore.Version(len(w.Events))
	}
	receipt := eventstore.Receipt{Token: eventstore.Token{Identity: t.identity, Position: t.head}, Versions: versions}
	return receipt, t.remember(ctx, request.Command, receipt)
}

// check holds the request against the log, changes nothing, and returns the versions of
// its streams.
func (t *tail) check(ctx context.Context, request eventstore.AppendRequest) (map[eventstore.StreamID]eventstore.Version, error) {
	if err := request.CheckLife(t.identity); err != nil {
		return nil, refusal{err}
	}
	versions := make(map[eventstore.StreamID]eventstore.Version, len(request.Writes))
	for _, w := range request.Writes {
		end, err := readEnd(ctx, t.tx, w.Stream)
		if err != nil {
			return nil, err
		}
		if err := end.accepts(w); err != nil {
			return nil, refusal{err}
		}
		versions[w.Stream] = end.version
	}
	if request.Condition == nil {
		return versions, nil
	}
	return versions, t.checkCondition(ctx, *request.Condition)
}

// write inserts the events of one stream.
func (t *tail) write(ctx context.Context, w eventstore.Write, version eventstore.Version) error {
	slice := w.Stream.Slice()
	for _, e := range w.Events {
		t.head++
		version++
		err := t.tx.exec(ctx, insertEventSQL,
			int64(t.head), string(w.Stream), int64(version), int64(slice), e.ID[:], e.Type, e.SchemaVersion,
			t.now.UnixMicro(), joinTags(e.Tags), orNull(e.Metadata), orEmpty(e.Data))
		if err != nil {
			return fmt.Errorf("insert event %d of %s: %w", version, w.Stream, err)
		}
		if err := t.tag(ctx, e.Tags); err != nil {
			return err
		}
		t.written, t.last = true, e.ID
		if t.collects {
			t.recorded = append(t.recorded, t.asRead(e, w.Stream, version))
		}
	}
	return nil
}

// asRead returns the event at the head as a read of the log would.
func (t *tail) asRead(e eventstore.EventData, stream eventstore.StreamID, version eventstore.Version) eventstore.Recorded {
	e.Data = orEmpty(e.Data)
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	if len(e.Tags) == 0 {
		e.Tags = nil
	}
	return eventstore.Recorded{EventData: e, Stream: stream, Version: version, Position: t.head, RecordedAt: t.now}
}

func (t *tail) tag(ctx context.Context, tags []eventstore.Tag) error {
	for _, tag := range tags {
		if err := t.tx.exec(ctx, insertTagSQL, string(tag), int64(t.head)); err != nil {
			return fmt.Errorf("insert tag of event %d: %w", t.head, err)
		}
	}
	return nil
}

// joinTags returns the tags one a line, nil if there are none. A tag has no line break.
func joinTags(tags []eventstore.Tag) any {
	if len(tags) == 0 {
		return nil
	}
	texts := make([]string, len(tags))
	for n, tag := range tags {
		texts[n] = string(tag)
	}
	return strings.Join(texts, "\n")
}

// orNull and orEmpty choose the one representation of no bytes for a column.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
