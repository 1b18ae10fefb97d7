package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

func (r reader) lookupCommand(ctx context.Context, c eventstore.Command) (receipt eventstore.Receipt, known bool, err error) {
	if c.ID.IsZero() {
		return eventstore.Receipt{}, false, ctx.Err()
	}
	err = r.on(ctx, func(on session) error {
		known, err = on.row(ctx, r.sql.command, func(row [][]byte) error {
			receipt, err = readReceipt(row, c)
			return err
		}, c.ID[:])
		return err
	})
	if err != nil {
		return eventstore.Receipt{}, false, fmt.Errorf("look up command %s: %w", c.ID, err)
	}
	return receipt, known, nil
}

// readReceipt reads a store's identity, then a command's hash and first receipt.
func readReceipt(row [][]byte, c eventstore.Command) (eventstore.Receipt, error) {
	if c.Hash.Mismatches(eventstore.CommandHash(row[2])) {
		return eventstore.Receipt{}, eventstore.ErrIdempotencyMismatch
	}
	receipt := eventstore.Receipt{Token: readToken([][]byte{row[0], row[1], row[3]}), Repeated: true}
	if err := json.Unmarshal(row[4], &receipt.Versions); err != nil {
		return eventstore.Receipt{}, fmt.Errorf("read its receipt: %w", err)
	}
	return receipt, nil
}
