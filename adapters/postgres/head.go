package postgres

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

func (r reader) head(ctx context.Context) (token eventstore.Token, err error) {
	err = r.on(ctx, func(on session) error {
		return on.one(ctx, r.sql.head, func(row [][]byte) error {
			token = readToken(row)
			return nil
		})
	})
	if err != nil {
		return eventstore.Token{}, fmt.Errorf("read the head: %w", err)
	}
	return token, nil
}

// readToken reads a store's id, its incarnation and a position.
func readToken(row [][]byte) eventstore.Token {
	identity := eventstore.Identity{Store: eventstore.StoreID(row[0]), Incarnation: readInt4(row[1])}
	return eventstore.Token{Identity: identity, Position: eventstore.Position(readInt8(row[2]))}
}

// adoption is what a session knows of the store to begin with.
type adoption struct {
	head     eventstore.Token
	fences   int64 // grows with every fence
	readOnly bool  // as on a standby; it may end while the session lasts, and the store was not adopted
}

// adopt tells who the store is. On the primary it starts a new incarnation if the log has come
// to another cluster or timeline since it was last opened. Another store than the one that was
// opened is [ErrOtherDatabase].
func (s session) adopt(ctx context.Context, sql statements) (found adoption, err error) {
	err = s.one(ctx, sql.adopt, func(row [][]byte) error {
		found = adoption{head: readToken(row), fences: readInt8(row[3]), readOnly: readBool(row[4])}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("look up the store: %w", err)
	}
	if there := found.head.Store; s.store != (eventstore.StoreID{}) && there != s.store {
		return found, fmt.Errorf("%w: store %s was opened, and store %s is there now", ErrOtherDatabase, s.store, there)
	}
	return found, nil
}
