package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// LookupCommand implements [eventstore.Appender].
func (s *Store) LookupCommand(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	return reader(s.file.read).lookup(ctx, c)
}

func (r reader) lookup(ctx context.Context, c eventstore.Command) (receipt eventstore.Receipt, known bool, err error) {
	err = r(ctx, func(tx *transaction) error {
		end, err := head(ctx, tx)
		if err != nil {
			return err
		}
		receipt, known, err = lookup(ctx, tx, end.Identity, c)
		return err
	})
	return receipt, known, err
}

// lookup returns the receipt of a command's append. Its token carries the identity that
// the store has now: a restored log that has the command has its events too, at the same
// positions, so the caller gets a token that can be waited for.
func lookup(ctx context.Context, tx *transaction, identity eventstore.Identity, c eventstore.Command) (eventstore.Receipt, bool, error) {
	if c.ID.IsZero() {
		return eventstore.Receipt{}, false, nil
	}
	var hash, versions []byte
	receipt := eventstore.Receipt{Token: eventstore.Token{Identity: identity}, Repeated: true}
	known, err := tx.find(ctx, commandSQL, []any{c.ID[:]}, &hash, &receipt.Token.Position, &versions)
	if err != nil {
		return eventstore.Receipt{}, false, fmt.Errorf("look up command %s: %w", c.ID, err)
	}
	if !known {
		return eventstore.Receipt{}, false, nil
	}
	var first eventstore.CommandHash
	copy(first[:], hash)
	if c.Hash.Mismatches(first) {
		return eventstore.Receipt{}, false, fmt.Errorf("command %s: %w", c.ID, eventstore.ErrIdempotencyMismatch)
	}
	if err := json.Unmarshal(versions, &receipt.Versions); err != nil {
		return eventstore.Receipt{}, false, fmt.Errorf("read the receipt of command %s: %w", c.ID, err)
	}
	return receipt, true, nil
}

// remember stores the receipt under the command's id, for ever.
func (t *tail) remember(ctx context.Context, c eventstore.Command, receipt eventstore.Receipt) error {
	if c.ID.IsZero() {
		return nil
	}
	versions, err := json.Marshal(receipt.Versions)
	if err != nil {
		return err
	}
	t.written = true
	err = t.tx.exec(ctx, insertCommandSQL, c.ID[:], c.Hash[:], int64(receipt.Token.Position), string(versions), t.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("remember command %s: %w", c.ID, err)
	}
	return nil
}
