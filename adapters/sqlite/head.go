package sqlite

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/eventstore"
)

// errUnnamed means that the store has no identity yet: the file is being created.
var errUnnamed = errors.New("sqlite: the store has no identity")

// Head implements [eventstore.LogReader].
func (s *Store) Head(ctx context.Context) (eventstore.Token, error) {
	return reader(s.file.read).head(ctx)
}

func (r reader) head(ctx context.Context) (token eventstore.Token, err error) {
	err = r(ctx, func(tx *transaction) error {
		token, err = head(ctx, tx)
		return err
	})
	return token, err
}

// head reads the end of the log and the store's identity together: a restore changes
// both, and a token must not mix two lives.
func head(ctx context.Context, tx *transaction) (eventstore.Token, error) {
	token, _, err := headAndInline(ctx, tx)
	return token, err
}

// headAndInline also returns the number of what appends must apply; see inline.go.
func headAndInline(ctx context.Context, tx *transaction) (token eventstore.Token, inline int64, err error) {
	var id []byte
	found, err := tx.find(ctx, headSQL, nil, &id, &token.Incarnation, &inline, &token.Position)
	if err == nil && !found {
		err = errUnnamed
	}
	copy(token.Store[:], id)
	return token, inline, err
}
