package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// TestAppendsAndReadModelsInOneTransactionSurviveLostCommits loses every third COMMIT of
// a file in which four clients append and four handlers count, so that an append is
// settled while handlers share its transactions. Each event and each count must be
// there once.
func TestAppendsAndReadModelsInOneTransactionSurviveLostCommits(t *testing.T) {
	const clients, each = 4, 60
	store := openInternal(t)
	require.NoError(t, store.file.write(t.Context(), func(tx *transaction) error {
		return tx.exec(t.Context(), "CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER) STRICT")
	}))
	var counters [clients]*counter
	for n := range counters {
		counters[n] = openCounter(t, store, fmt.Sprintf("counter%d", n))
	}
	store.file.commit = func(tx *sql.Tx) error {
		return []fate{answerLost, requestLost, (*sql.Tx).Commit, (*sql.Tx).Commit, (*sql.Tx).Commit, (*sql.Tx).Commit}[rand.IntN(6)](tx)
	}

	var all sync.WaitGroup
	acked := make([]map[string]eventstore.Position, clients)
	for n := range clients {
		acked[n] = map[string]eventstore.Position{}
		all.Go(func() {
			for i := range each {
				data := fmt.Sprintf("%d/%d", n, i)
				receipt, err := appendSurely(t.Context(), store, placed(eventstore.NewStreamID("order", fmt.Sprint(n)), data))
				if errors.Is(err, eventstore.ErrOutcomeUnknown) {
					continue // the answers to the settling were lost too
				}
				if assert.NoError(t, err) {
					acked[n][data] = receipt.Token.Position
				}
			}
		})
		all.Go(func() { assert.NoError(t, counters[n].count(t.Context(), each)) })
	}
	all.Wait()
	store.file.commit = (*sql.Tx).Commit

	at := map[string]eventstore.Position{}
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		require.NotContains(t, at, string(e.Data), "twice in the log")
		at[string(e.Data)] = e.Position
	}
	for _, mine := range acked {
		for data, position := range mine {
			require.Equal(t, position, at[data], data)
		}
	}
	for _, c := range counters {
		require.Equal(t, each, c.counted(t), c.of.Name)
	}
}

// appendSurely repeats an append that is said not to be committed: if it were, it would
// be there twice.
func appendSurely(ctx context.Context, store *Store, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	for {
		receipt, err := store.Append(ctx, request)
		if !errors.Is(err, errNotCommitted) || errors.Is(err, eventstore.ErrOutcomeUnknown) {
			return receipt, err
		}
	}
}

// counter is a handler that adds one for each position.
type counter struct {
	sink *Sink
	of   projection.Generation
	at   subscription.Checkpoint
}

var counted = eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}

func openCounter(t *testing.T, store *Store, name string) *counter {
	t.Helper()
	c := &counter{sink: store.Sink(), of: projection.Generation{Name: name, Version: 1}}
	require.NoError(t, c.sink.Open(t.Context(), projection.Model{Generation: c.of, Hash: "counter"}, counted))
	var err error
	c.at, err = c.sink.Checkpoint(t.Context(), c.of, counted.Store)
	require.NoError(t, err)
	return c
}

// count counts up to the position. After an error the checkpoint tells what became of it.
func (c *counter) count(ctx context.Context, through eventstore.Position) error {
	for c.at.Anchor.Position < through {
		to := c.at
		to.Anchor.Position++
		_ = c.sink.Transact(ctx, c.of, projection.Move{From: c.at, To: to}, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", c.of.Name)
			return err
		})
		var err error
		if c.at, err = c.sink.Checkpoint(ctx, c.of, counted.Store); err != nil {
			return err
		}
	}
	return nil
}

func (c *counter) counted(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, c.sink.file.read(t.Context(), func(tx *transaction) error {
		_, err := tx.find(t.Context(), "SELECT n FROM counts WHERE name = ?", []any{c.of.Name}, &n)
		return err
	}))
	return n
}
