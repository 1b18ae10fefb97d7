package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/eventstore"
)

// importing stands in the place of the inline projections' number while a log is being imported: no set of
// projections has it, so nobody appends. It is -1 in the SQL too.
const importing = -1

// ReadCommands implements [eventstore.Portable], a thousand ids at a time. Each page proves that its server has the
// event, so that it lacks no id of an append that had come before. That event proves nothing of an append of
// no events behind it: a standby that has not replayed such a one leaves it out.
func (s *Store) ReadCommands(ctx context.Context, through eventstore.Anchor) iter.Seq2[eventstore.RememberedCommand, error] {
	return eventstore.CommandPages(func(after eventstore.CommandID) ([]eventstore.RememberedCommand, error) {
		return s.commandsAfter(ctx, after, through)
	})
}

func (s *Store) commandsAfter(ctx context.Context, after eventstore.CommandID, through eventstore.Anchor) (page []eventstore.RememberedCommand, err error) {
	var end proof
	err = s.db.do(ctx, func(on session) error {
		return on.rows(ctx, s.db.sql.readCommands, func(row [][]byte) error {
			if row[0] == nil {
				end.take(row[1])
				return nil
			}
			c, err := readRemembered(row)
			page = append(page, c)
			return err
		}, after[:], position(through.Position))
	})
	if err == nil && through.Position > 0 {
		err = end.check(through, true) // a full one too: ids are in no order of time
	}
	return page, err
}

func readRemembered(row [][]byte) (c eventstore.RememberedCommand, err error) {
	c.ID, c.Hash = eventstore.CommandID(row[0]), eventstore.CommandHash(row[1])
	c.Position, c.RecordedAt = eventstore.Position(readInt8(row[2])), readTime(row[4])
	if err := json.Unmarshal(row[3], &c.Versions); err != nil {
		return c, fmt.Errorf("read the receipt of command %s: %w", c.ID, err)
	}
	return c, nil
}

// BeginImport implements [eventstore.Portable]. Like the rest of an import, it is for the role that owns the
// store: [ErrDenied]. The appends of whoever has the store open are refused from then on, those of this Store
// too: open it again. A store with inline projections takes no import: they would lack the events.
func (s *Store) BeginImport(ctx context.Context, id eventstore.StoreID) (life eventstore.Identity, err error) {
	if s.appender.inline != nil {
		return life, &eventstore.UnsupportedError{Part: eventstore.Importing}
	}
	err = s.importIn(ctx, "begin the import", func(i importTx) error {
		life = i.head.Identity
		switch {
		case i.inline == importing && life.Store == id:
			return nil
		case i.inline != importing && i.inline != 0:
			return fmt.Errorf("%w: it applies projections inline; import into one that does not, and switch it afterwards", eventstore.ErrNotEmpty)
		}
		life = eventstore.Identity{Store: id, Incarnation: life.Incarnation + 1 + rand.Int32N(1_000_000)}
		begun, err := i.on.row(ctx, s.db.sql.beginImport, noColumns, id[:], int4(life.Incarnation))
		if err == nil && !begun {
			err = fmt.Errorf("%w: it is store %s, at position %d", eventstore.ErrNotEmpty, i.head.Store, i.head.Position)
		}
		return err
	})
	return life, err
}

// Import implements [eventstore.Portable], in one transaction.
func (s *Store) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	return s.importIn(ctx, "import", func(i importTx) error {
		if err := eventstore.CheckImporting(life, i.head.Identity, i.inline == importing); err != nil {
			return err
		}
		before, err := eventstore.CheckImport(i.head.Position, events, commands)
		if err != nil {
			return err
		}
		if err := i.checkStreams(ctx, before); err != nil {
			return err
		}
		if commands, err = i.unknown(ctx, commands); err != nil {
			return err
		}
		return errors.Join(i.addEvents(ctx, events), i.addCommands(ctx, commands))
	})
}

// EndImport implements [eventstore.Portable].
func (s *Store) EndImport(ctx context.Context, end eventstore.Token) error {
	return s.importIn(ctx, "end the import", func(i importTx) error {
		if err := eventstore.CheckImportEnd(end, i.head, i.inline == importing); err != nil {
			return err
		}
		return i.on.rows(ctx, s.db.sql.endImport, noColumns)
	})
}

// importTx is a transaction that holds the lock of the store, and what it has found there.
type importTx struct {
	on     session
	sql    *statements
	inline int64
	head   eventstore.Token
}

// importIn runs f in such a transaction.
func (s *Store) importIn(ctx context.Context, doing string, f func(importTx) error) error {
	err := s.db.do(ctx, func(on session) error {
		err := inTransaction(ctx, on.conn, pgx.ReadWrite, func(pgx.Tx) error {
			i := importTx{on: on, sql: &s.db.sql}
			if err := on.one(ctx, s.db.sql.lock, noColumns); err != nil {
				return err
			}
			err := on.one(ctx, s.db.sql.importState, func(row [][]byte) error {
				i.head, i.inline = readToken(row), readInt8(row[3])
				return nil
			})
			if err != nil {
				return err
			}
			return f(i)
		})
		return errors.Join(err, on.replicated())
	})
	if errors.Is(err, ErrDenied) {
		err = fmt.Errorf("it is for the role that owns the store: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%s in schema %s: %w", doing, s.db.schema, err)
	}
	return nil
}

// checkStreams holds the streams that are there against the versions before the import's events.
func (i importTx) checkStreams(ctx context.Context, before map[eventstore.StreamID]eventstore.Version) error {
	streams := make([]eventstore.StreamID, 0, len(before))
	var keys column
	for stream := range before {
		key := streamKey(stream)
		streams = append(streams, stream)
		keys.next().raw(key[:])
	}
	n := 0
	return i.on.rows(ctx, i.sql.streamEnds, func(row [][]byte) error {
		stream, version := streams[n], eventstore.Version(readInt8(row[0]))
		n++
		if version != before[stream] {
			return &eventstore.InvalidError{What: "import", Value: string(stream), Reason: fmt.Sprintf("the stream is at version %d (negative: deleted), and the import goes on behind version %d", version, before[stream])}
		}
		return nil
	}, keys.array(oidUUID))
}

// unknown returns the commands that are not remembered yet.
func (i importTx) unknown(ctx context.Context, commands []eventstore.RememberedCommand) (left []eventstore.RememberedCommand, err error) {
	var ids column
	for _, c := range commands {
		ids.next().raw(c.ID[:])
	}
	known := map[eventstore.CommandID]eventstore.RememberedCommand{}
	err = i.on.rows(ctx, i.sql.remembered, func(row [][]byte) error {
		c, err := readRemembered(row)
		known[c.ID] = c
		return err
	}, ids.array(oidUUID))
	if err != nil {
		return nil, err
	}
	for _, c := range commands {
		there, ok := known[c.ID]
		switch {
		case !ok:
			left = append(left, c)
		case !there.Equal(c):
			return nil, &eventstore.InvalidError{What: "import", Value: c.ID.String(), Reason: "another command is remembered under its id"}
		}
	}
	return left, nil
}

func (i importTx) addEvents(ctx context.Context, events []eventstore.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	var positions, versions, times, ids, keys, slices, schemaVersions, streams, types, tags, metadata, data column
	for _, e := range events {
		key := streamKey(e.Stream)
		positions.next().int8(int64(e.Position))
		versions.next().int8(int64(e.Version))
		times.next().raw(timestamp(e.RecordedAt))
		ids.next().raw(e.ID[:])
		keys.next().raw(key[:])
		slices.next().int2(int(e.Stream.Slice()))
		schemaVersions.next().int2(e.SchemaVersion)
		streams.next().text(string(e.Stream))
		types.next().text(e.Type)
		lines(&tags, e.Tags)
		if len(e.Metadata) == 0 {
			metadata.nextNull()
		} else {
			metadata.next().raw(e.Metadata)
		}
		data.next().raw(e.Data)
	}
	at, tagged := positions.array(oidInt8), tags.array(oidText)
	if err := i.on.rows(ctx, i.sql.importEvents, noColumns, at, versions.array(oidInt8), times.array(oidTime), ids.array(oidUUID), keys.array(oidUUID), slices.array(oidInt2),
		schemaVersions.array(oidInt2), streams.array(oidText), types.array(oidText), tagged, metadata.array(oidBytea), data.array(oidBytea)); err != nil {
		return err
	}
	if err := i.on.rows(ctx, i.sql.importTags, noColumns, at, tagged); err != nil {
		return err
	}
	return i.on.rows(ctx, i.sql.notify, noColumns, position(events[len(events)-1].Position))
}

func (i importTx) addCommands(ctx context.Context, commands []eventstore.RememberedCommand) error {
	if len(commands) == 0 {
		return nil
	}
	var ids, hashes, positions, versions, times column
	for _, c := range commands {
		text, err := json.Marshal(c.Versions)
		if err != nil {
			return err
		}
		ids.next().raw(c.ID[:])
		hashes.next().raw(c.Hash[:])
		positions.next().int8(int64(c.Position))
		versions.next().raw(text)
		times.next().raw(timestamp(c.RecordedAt))
	}
	return i.on.rows(ctx, i.sql.importCommands, noColumns, ids.array(oidUUID), hashes.array(oidUUID), positions.array(oidInt8), versions.array(oidText), times.array(oidTime))
}
