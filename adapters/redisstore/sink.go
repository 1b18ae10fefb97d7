package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/wake"
	"github.com/leftfold/leftfold/projection"
)

// Options are the options of [Open]. The zero value works.
type Options struct {
	// Prefix begins the name of every key, with a colon behind it. It holds no braces.
	// Default: leftfold.
	Prefix string
	// Logger is told of a server that forgets. Default: slog.Default().
	Logger *slog.Logger
}

// Sink keeps the read models of Views in Redis. It implements [projection.Sink]. It is
// no [projection.TxSink]: Redis has no transaction that a handler could write in and read
// what it has written.
type Sink struct {
	client  redis.UniversalClient
	prefix  string
	opened  sync.Map // the generations that Open was called for here
	changed wake.Signal
}

var (
	_ projection.Sink   = (*Sink)(nil)
	_ projection.Lister = (*Sink)(nil)
)

// Open returns a sink over the client, which stays the caller's to close. It asks the
// server, or each master of a cluster, and returns [ErrUnsuitable] if it may evict keys or
// is too old. A server without an append-only file is good enough for a warning.
func Open(ctx context.Context, client redis.UniversalClient, options Options) (*Sink, error) {
	if options.Prefix == "" {
		options.Prefix = "leftfold"
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if strings.ContainsAny(options.Prefix, "{}") {
		return nil, fmt.Errorf("redisstore: the prefix %q holds a brace, which would decide on the slot of every key", options.Prefix)
	}
	if err := checkServers(ctx, client, options.Logger); err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	return &Sink{client: client, prefix: options.Prefix}, nil
}

// Open implements [projection.Checkpoints].
func (s *Sink) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	begin := subscription.Checkpoint{Source: source, Segment: subscription.Whole}
	h := shares{s, model.Generation, source.Store}
	err := openScript.Run(ctx, s.client, s.keysOf(model.Generation).all(), model.Hash, h.fieldOf("at", begin.Segment), checkpointText(begin)).Err()
	if err == nil {
		s.opened.Store(model.Generation, nil)
	}
	return s.explained(ctx, model.Generation, err)
}

// Checkpoint implements [projection.Checkpoints].
func (s *Sink) Checkpoint(ctx context.Context, of projection.Generation, source eventstore.StoreID) (subscription.Checkpoint, error) {
	state, _, _, err := shares{s, of, source}.load(ctx)
	switch {
	case errors.Is(err, projection.ErrNotBuilt):
		return subscription.Checkpoint{}, nil
	case err != nil:
		return subscription.Checkpoint{}, err
	case state == nil:
		return subscription.Checkpoint{}, fmt.Errorf("%w: %s does not follow store %s", eventstore.ErrForeignToken, of, source)
	}
	return subscription.Lowest(state.Checkpoints()), nil
}

// Changed implements [projection.Checkpoints]. It tells of commits made through this
// Sink; a reader in another process polls.
func (s *Sink) Changed() <-chan struct{} { return s.changed.Next() }

// inOne reads from a generation, all at one moment and on the master. A client may send plain
// reads to a replica that lags, or answer them from a cache of its own, and a fold over
// rows older than the checkpoint would lose what happened in between. It does neither with
// a transaction.
func (s *Sink) inOne(ctx context.Context, of projection.Generation, read func(tx redis.Pipeliner)) error {
	k := s.keysOf(of)
	var there *redis.IntCmd
	var registered *redis.BoolCmd
	_, err := s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		there = tx.Exists(ctx, k.meta, k.rows, k.order)
		registered = tx.HExists(ctx, k.generations, strconv.Itoa(of.Version))
		read(tx)
		return nil
	})
	switch {
	case there.Err() != nil || registered.Err() != nil || err != nil && !errors.Is(err, redis.Nil):
		return s.explained(ctx, of, err)
	case there.Val() == 0 && !registered.Val():
		return s.absent(ctx, of)
	case there.Val() < 3 || !registered.Val():
		return incomplete(of)
	}
	return err
}

// Load implements [projection.Sink].
func (s *Sink) Load(ctx context.Context, model projection.Model, keys []string) (found []projection.Row, err error) {
	values := &redis.SliceCmd{}
	err = s.inOne(ctx, model.Generation, func(tx redis.Pipeliner) {
		if len(keys) > 0 {
			values = tx.HMGet(ctx, s.keysOf(model.Generation).rows, keys...)
		}
	})
	if err != nil {
		return nil, err
	}
	for n, value := range values.Val() {
		value, _ := value.(string)
		if value == "" {
			continue // there is no such row; the entry that keeps an empty hash alive is none
		}
		row, err := unpack(model, keys[n], value)
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, nil
}

// Commit implements [projection.Sink].
func (s *Sink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if move.From.Source.Store != move.To.Source.Store || move.From.Segment != move.To.Segment {
		return subscription.ErrStale
	}
	args, err := s.arguments(model, move, changes)
	if err != nil {
		return err
	}
	err = commitScript.Run(ctx, s.client, s.keysOf(model.Generation).all(), args...).Err()
	s.changed.Notify() // in any case: it may be the answer that was lost, and not the commit
	return s.explained(ctx, model.Generation, err)
}

// arguments are those of lua/commit.lua.
func (s *Sink) arguments(model projection.Model, move projection.Move, changes []projection.Change) ([]any, error) {
	pack := newPacker(model)
	puts, deletes, places := make([]any, 0, 2*len(changes)), []any{}, []any{}
	for _, change := range changes {
		if change.Deleted {
			deletes = append(deletes, change.Key)
			continue
		}
		value, length, err := pack.row(change.Row)
		if err != nil {
			return nil, fmt.Errorf("row %q of %s: %w", change.Key, model.Generation, err)
		}
		puts = append(puts, change.Key, value)
		if len(model.Indexes) > 0 {
			places = append(places, value[:length])
		}
	}
	h := shares{s, model.Generation, move.To.Source.Store}
	park, unpark, err := h.parks(move)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]any{
		model.Hash, h.fieldOf("at", move.From.Segment), checkpointText(move.From), checkpointText(move.To),
		len(puts) / 2, len(deletes), len(model.Indexes), len(park) / 2, len(unpark),
	}, puts, deletes, places, park, unpark), nil
}

// Drop removes what is left of a generation after [ErrLost], live or not. One that is whole
// is for [projection.Retire].
func (s *Sink) Drop(ctx context.Context, of projection.Generation) error {
	k := s.keysOf(of)
	_, err := s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.Unlink(ctx, k.meta, k.rows, k.order)
		tx.HDel(ctx, k.generations, strconv.Itoa(of.Version))
		return nil
	})
	if err != nil {
		return s.explained(ctx, of, err)
	}
	s.opened.Delete(of)
	return nil
}
