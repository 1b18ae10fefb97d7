package kinesisstore

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/eventstore"
)

// InnerStore returns the store of an index, which nobody may append to.
func InnerStore(d Database) eventstore.Store { return d.store }

// WithStore returns the database with another store in front of it, as reads go.
func WithStore(d Database, store eventstore.Store) Database {
	d.store = store
	return d
}

// DatabaseOf returns where an index is.
func DatabaseOf(x *Index) Database { return x.database }

// ErrDied ends a transaction as a crash of the process would.
var ErrDied = errors.New("died")

// DieInTransaction has the index ask behind each step of a transaction whether it dies there.
func DieInTransaction(x *Index, dies func() bool) {
	x.step = func() error {
		if dies() {
			return ErrDied
		}
		return nil
	}
}

// JudgeBy gives an index another fold.
func JudgeBy(x *Index, judge func(Record, State) (Verdict, error)) { x.judge = judge }

// MoveBlindly has an index in SQLite move checkpoints without a look at where they are.
func MoveBlindly(x *Index) {
	x.sql.moveShard = strings.Replace(x.sql.moveShard, "AND sequence = ?6 AND ended = ?7", "AND ?6 IS NOT NULL AND ?7 IS NOT NULL", 1)
}

// LookNow has a store look at its stream with the next append, as it does every minute.
func LookNow(s *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = s.looked.Add(-2 * lookEvery)
}

// SettleWithin sets how long the index may take to tell an outcome.
func SettleWithin(s *Store, limit time.Duration) { s.settling = limit }

// AtTime sets the clock of an index.
func AtTime(x *Index, now func() time.Time) { x.now = now }

// TargetOf returns what an indexer takes records in with, of a stream that keeps them for a day.
func TargetOf(i Indexer) consumer.Target {
	var retention atomic.Int64
	retention.Store(int64(24 * time.Hour))
	return i.target(&retention)
}

// Follows judges how far an index is behind.
var Follows = follows
