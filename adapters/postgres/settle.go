package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// When the connection is lost while a batch is under way, the batch may be committed, may
// still be running, or may even wait in some buffer to be run later. It is settled like this:
//
//  1. leftfold.settle takes the lock of the store, which waits out a transaction of ours that
//     still holds it, and writes a fence: requests of our earlier sessions are refused from
//     then on, wherever they are.
//  2. In the same transaction it looks for our events, by their ids, behind the head that we
//     knew before the batch. What is not there will never be.
//  3. Appends whose events were found get their receipts; the others are made again, in a
//     session of their own.

// settle finds out what became of a batch whose answer was lost. It answers those who were
// appended and returns the others: they are not in the log and never will be, unless the error
// is [eventstore.ErrOutcomeUnknown], which then speaks of the whole batch.
func (a *appender) settle(ctx context.Context, f flight, lost error) (missing []*groupcommit.Pending, err error) {
	deadline := time.Now().Add(a.patience.settle)
	for {
		missing, err := a.look(ctx, f)
		if err == nil {
			return missing, nil
		}
		a.disconnect()
		if !passes(err) && !needsAnotherServer(err) || time.Now().After(deadline) {
			// Their texts only: as a cause, a busy server would say "not appended, try again".
			return f.appends, fmt.Errorf("%w: the connection was lost (%v), and what became of the append could not be asked: %v", eventstore.ErrOutcomeUnknown, lost, err)
		}
		time.Sleep(reconnectPause)
	}
}

// look forbids the earlier sessions, answers the appends that were made, and returns the
// others. It answers nobody before it knows about all of them.
func (a *appender) look(ctx context.Context, f flight) (missing []*groupcommit.Pending, err error) {
	if err := a.connect(ctx, a.patience.reconnect); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.patience.settle)
	defer cancel()
	a.session++
	behind := f.before.Position
	if a.identity != f.before.Identity {
		behind = 0 // after a failover the log may have been shorter when the batch arrived
	}
	found, err := a.find(ctx, f.appends, behind)
	if err != nil {
		return nil, err
	}
	var made []*groupcommit.Pending
	head := a.head
	for _, p := range f.appends {
		ok, err := a.receipt(ctx, p, found)
		switch {
		case err != nil:
			return nil, err
		case ok:
			made = append(made, p)
			head = max(head, p.Receipt.Token.Position)
		default:
			missing = append(missing, p)
		}
	}
	a.done(head)
	answerAll(made, nil)
	return missing, nil
}

// place is where the first event of a write stands.
type place struct {
	position eventstore.Position
	version  eventstore.Version
}

// find returns where the first event of each write stands, if it is in the log, and
// writes the fence.
func (a *appender) find(ctx context.Context, appends []*groupcommit.Pending, before eventstore.Position) (map[eventstore.StreamID]place, error) {
	var writes []eventstore.Write
	for _, p := range appends {
		for _, w := range p.Request.Writes {
			if len(w.Events) > 0 {
				writes = append(writes, w)
			}
		}
	}
	var ids, keys encoder
	ids.array(oidUUID, len(writes))
	keys.array(oidUUID, len(writes))
	for _, w := range writes {
		key := streamKey(w.Stream)
		ids.raw(w.Events[0].ID[:])
		keys.raw(key[:])
	}
	found := map[eventstore.StreamID]place{}
	err := a.db.session(a.conn.Conn()).rows(ctx, a.db.sql.settle, func(row [][]byte) error {
		found[writes[readInt8(row[0])-1].Stream] = place{eventstore.Position(readInt8(row[1])), eventstore.Version(readInt8(row[2]))}
		return nil
	}, a.writer[:], bigint(a.session), position(before), ids.b, keys.b)
	return found, err
}

// receipt gives the append its receipt if its events are in the log. An append without
// events is never found: to make it again is harmless, because it has a command id.
func (a *appender) receipt(ctx context.Context, p *groupcommit.Pending, found map[eventstore.StreamID]place) (made bool, err error) {
	receipt := eventstore.Receipt{Token: eventstore.Token{Identity: a.identity}, Versions: map[eventstore.StreamID]eventstore.Version{}}
	for _, w := range p.Request.Writes {
		first, ok := found[w.Stream]
		if count := len(w.Events); ok && count > 0 {
			receipt.Versions[w.Stream] = first.version + eventstore.Version(count) - 1
			receipt.Token.Position = first.position + eventstore.Position(count) - 1
		}
	}
	if receipt.Token.Position == 0 {
		return false, nil
	}
	for _, w := range p.Request.Writes {
		if len(w.Events) == 0 {
			if receipt.Versions[w.Stream], err = a.versionAt(ctx, w.Stream, receipt.Token.Position); err != nil {
				return false, err
			}
		}
	}
	p.Receipt, p.Err = receipt, nil
	return true, nil
}

// versionAt returns the version that a stream had when the log ended at the position.
func (a *appender) versionAt(ctx context.Context, stream eventstore.StreamID, at eventstore.Position) (version eventstore.Version, err error) {
	key := streamKey(stream)
	_, err = a.db.session(a.conn.Conn()).row(ctx, a.db.sql.versionAt, func(row [][]byte) error {
		version = eventstore.Version(readInt8(row[0]))
		return nil
	}, key[:], position(at))
	return version, err
}
