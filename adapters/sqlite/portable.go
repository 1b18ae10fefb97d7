package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// importing stands in the place of the inline projections' number while a log is being imported: no set of
// projections has it, so nobody appends.
const importing = -1

// ReadCommands implements [eventstore.Portable], a thousand ids at a time.
func (s *Store) ReadCommands(ctx context.Context, through eventstore.Anchor) iter.Seq2[eventstore.RememberedCommand, error] {
	return eventstore.CommandPages(func(after eventstore.CommandID) ([]eventstore.RememberedCommand, error) {
		return s.commandsAfter(ctx, after, through)
	})
}

func (s *Store) commandsAfter(ctx context.Context, after eventstore.CommandID, through eventstore.Anchor) (page []eventstore.RememberedCommand, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		_, there, err := anchors(ctx, tx, 0, through.Position)
		if err == nil {
			err = eventstore.CheckThrough(through, there)
		}
		if err != nil {
			return err
		}
		rows, err := tx.query(ctx, readCommandsSQL, after[:], int64(through.Position))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is that of Err
		for rows.Next() {
			var row commandRow
			if err := rows.Scan(&row.id, &row.hash, &row.position, &row.versions, &row.micros); err != nil {
				return err
			}
			c, err := row.command()
			if err != nil {
				return err
			}
			page = append(page, c)
		}
		return rows.Err()
	})
	return page, err
}

// commandRow is a row of the table of commands.
type commandRow struct {
	id, hash, versions []byte
	position           eventstore.Position
	micros             int64 // since 1970
}

func (r commandRow) command() (c eventstore.RememberedCommand, err error) {
	copy(c.ID[:], r.id)
	copy(c.Hash[:], r.hash)
	c.Position, c.RecordedAt = r.position, time.UnixMicro(r.micros).UTC()
	if err := json.Unmarshal(r.versions, &c.Versions); err != nil {
		return c, fmt.Errorf("read the receipt of command %s: %w", c.ID, err)
	}
	return c, nil
}

// BeginImport implements [eventstore.Portable]. Other processes notice at their next append. A store with
// inline projections takes no import: they would lack the events.
func (s *Store) BeginImport(ctx context.Context, id eventstore.StoreID) (life eventstore.Identity, err error) {
	if s.appender.inline != nil {
		return life, &eventstore.UnsupportedError{Part: eventstore.Importing}
	}
	if err := s.outside(ctx); err != nil {
		return life, err
	}
	err = s.file.write(ctx, func(tx *transaction) error {
		token, inline, err := headAndInline(ctx, tx)
		if life = token.Identity; err != nil || inline == importing && life.Store == id {
			return err
		}
		if inline != 0 && inline != importing {
			return fmt.Errorf("import store %s into %s: %w: it applies projections inline; import into one that does not, and switch it afterwards", id, s.file.path, eventstore.ErrNotEmpty)
		}
		life = eventstore.Identity{Store: id, Incarnation: token.Incarnation + 1 + rand.Int32N(1_000_000)}
		begun, err := tx.change(ctx, beginImportSQL, id[:], life.Incarnation, importing)
		if err == nil && begun == 0 {
			err = fmt.Errorf("import store %s into %s: %w: it is store %s, at position %d", id, s.file.path, eventstore.ErrNotEmpty, token.Store, token.Position)
		}
		return err
	})
	return life, err
}

// Import implements [eventstore.Portable], in one transaction.
func (s *Store) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	if err := s.outside(ctx); err != nil {
		return err
	}
	err := s.file.write(ctx, func(tx *transaction) error {
		log, err := openLog(ctx, tx, time.Time{})
		if err != nil {
			return err
		}
		if err := eventstore.CheckImporting(life, log.identity, log.inline == importing); err != nil {
			return err
		}
		before, err := eventstore.CheckImport(log.head, events, commands)
		if err != nil {
			return err
		}
		for stream, version := range before {
			end, err := readEnd(ctx, tx, stream)
			if err != nil {
				return err
			}
			if end.version != version || end.deleted {
				return &eventstore.InvalidError{What: "import", Value: string(stream), Reason: fmt.Sprintf("the stream is at version %d, and the import goes on behind version %d", end.version, version)}
			}
		}
		return log.take(ctx, events, commands)
	})
	if err == nil {
		s.appended()
	}
	return err
}

// take inserts what was recorded elsewhere.
func (t *tail) take(ctx context.Context, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	for _, e := range events {
		t.now = e.RecordedAt
		write := eventstore.Write{Stream: e.Stream, Events: []eventstore.EventData{e.EventData}}
		if err := t.write(ctx, write, e.Version-1); err != nil {
			return err
		}
	}
	for _, c := range commands {
		if err := t.rememberAgain(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (t *tail) rememberAgain(ctx context.Context, c eventstore.RememberedCommand) error {
	row := commandRow{id: c.ID[:]}
	known, err := t.tx.find(ctx, rememberedSQL, []any{c.ID[:]}, &row.hash, &row.position, &row.versions, &row.micros)
	if err != nil {
		return err
	}
	if known {
		there, err := row.command()
		if err == nil && !there.Equal(c) {
			err = &eventstore.InvalidError{What: "import", Value: c.ID.String(), Reason: "another command is remembered under its id"}
		}
		return err
	}
	t.now = c.RecordedAt
	return t.remember(ctx, c.Command, eventstore.Receipt{Token: eventstore.Token{Position: c.Position}, Versions: c.Versions})
}

// EndImport implements [eventstore.Portable].
func (s *Store) EndImport(ctx context.Context, end eventstore.Token) error {
	if err := s.outside(ctx); err != nil {
		return err
	}
	return s.file.write(ctx, func(tx *transaction) error {
		now, inline, err := headAndInline(ctx, tx)
		if err == nil {
			err = eventstore.CheckImportEnd(end, now, inline == importing)
		}
		if err != nil || inline != importing {
			return err
		}
		return tx.exec(ctx, setInlineSQL, 0)
	})
}
