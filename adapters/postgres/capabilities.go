package postgres

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Capabilities implements [eventstore.Capable]. It asks the server: a standby may have become
// the primary. On a standby, and for a role that may only read, the store is read-only.
func (s *Store) Capabilities(ctx context.Context) (can eventstore.Capabilities, err error) {
	var standby bool
	err = s.db.do(ctx, func(on session) error {
		return on.one(ctx, s.db.sql.capabilities, func(row [][]byte) error {
			standby = readBool(row[0])
			can.ReadOnly = standby || readBool(row[1])
			can.Volatile = readBool(row[2])
			can.Notes = []string{
				fmt.Sprintf("the server is Postgres %s", row[3]),
				fmt.Sprintf("schema %s is at step %d", s.db.schema, readInt4(row[4])),
			}
			return nil
		})
	})
	if err != nil {
		return eventstore.Capabilities{}, fmt.Errorf("look up the store's capabilities: %w", err)
	}
	if s.appender.inline != nil {
		can.Excluded = []eventstore.Part{eventstore.Importing}
	}
	switch {
	case standby:
		can.Notes = append(can.Notes, "it is a standby: append to the primary")
	case can.ReadOnly:
		can.Notes = append(can.Notes, "the role may read, and not append")
	}
	if can.Volatile {
		can.Notes = append(can.Notes, "the server acknowledges commits before they are on disk")
	}
	if s.wakeups.direct != nil && !standby { // a standby takes no LISTEN
		can.Wakeups = eventstore.Pushed
	} else {
		can.Notes = append(can.Notes, fmt.Sprintf("appends of other processes are noticed within %v", maxPoll))
	}
	return can, nil
}

func readBool(b []byte) bool { return b[0] != 0 }
