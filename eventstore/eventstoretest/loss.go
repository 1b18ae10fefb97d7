package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

var lossClauses = []clause{
	{"readers that follow hostile writers skip, reorder and duplicate nothing", followHostileWriters},
}

const (
	hostileWriters = 8
	liveReaders    = 4
)

// followHostileWriters is the test of position order. Where positions are handed out
// before the commit, this happens: A takes 7, B takes 8 and commits, the reader sees 8
// and moves its checkpoint there, A commits 7. Nobody will ever read 7.
func followHostileWriters(c *check) {
	writing, stop := context.WithCancel(c.ctx)
	defer stop()
	readers := make([]*follower, liveReaders)
	var reading sync.WaitGroup
	for i := range readers {
		readers[i] = &follower{store: c.store, next: steps[i]}
		reading.Go(func() { readers[i].follow(c.ctx, writing) })
	}
	writers := make([]hostileWriter, hostileWriters)
	appends := c.rounds(1200)
	together(hostileWriters, func(i int) { writers[i].write(c.ctx, c.store, i, appends) })
	stop()
	reading.Wait()

	log := c.log(eventstore.LogQuery{})
	c.checkAcked(log, writers)
	for i, r := range readers {
		c.must(r.err, "reader %d", i)
		if fault := compare(r.seen, within(log, steps[i](0).unbounded())); fault != "" {
			c.fatalf("reader %d: %s", i, fault)
		}
	}
}

// hostileWriter is a client with bad habits: appends of many sizes to several streams
// at once, refused ones in between, and pauses wherever the scheduler takes them.
type hostileWriter struct {
	acked   map[string]eventstore.Position // payload -> position
	refused int
	err     error
}

func (w *hostileWriter) write(ctx context.Context, store eventstore.Store, i, appends int) {
	w.acked = map[string]eventstore.Position{}
	for n := range appends {
		for range rand.IntN(4) {
			runtime.Gosched()
		}
		request := hostileAppend(i, n)
		receipt, err := store.Append(ctx, request)
		switch {
		case errors.Is(err, eventstore.ErrVersionConflict), errors.Is(err, eventstore.ErrConditionFailed):
			w.refused++
		case err != nil:
			w.err = err
			return
		default:
			w.note(request, receipt)
		}
	}
}

// note works out where the events must stand: the receipt tells the last position, and
// one append's events are consecutive.
func (w *hostileWriter) note(request eventstore.AppendRequest, receipt eventstore.Receipt) {
	position := receipt.Token.Position - eventstore.Position(request.EventCount())
	for _, write := range request.Writes {
		for _, e := range write.Events {
			position++
			w.acked[string(e.Data)] = position
		}
	}
}

func hostileAppend(writer, n int) eventstore.AppendRequest {
	name := func(part string, k int) eventstore.EventData {
		return eventstore.EventData{
			Type: part, Data: fmt.Appendf(nil, "writer %d append %d %s %d", writer, n, part, k),
			Tags: []eventstore.Tag{eventstore.NewTag("writer", fmt.Sprint(writer)), eventstore.NewTag("half", fmt.Sprint(k%2))},
		}
	}
	var own, shared []eventstore.EventData
	for k := range 1 + rand.IntN(4) {
		own = append(own, name("own", k))
	}
	for k := range rand.IntN(3) {
		shared = append(shared, name("shared", k))
	}
	request := eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: eventstore.NewStreamID("own", fmt.Sprint(writer)), Events: own},
		{Stream: eventstore.NewStreamID("shared", fmt.Sprint(rand.IntN(3))), Events: shared},
	}}
	switch rand.IntN(10) { // three in ten are refused, once there is something to conflict with
	case 0, 1:
		request.Writes[1].Expected = eventstore.NoStream
	case 2:
		request = unless(request, eventstore.Tagged(eventstore.NewTag("writer", fmt.Sprint(writer))), 0)
	}
	return request
}

// steps are how the live readers read: to the head, by window, by limit, by tag.
var steps = [liveReaders]func(after eventstore.Position) step{
	func(after eventstore.Position) step { return step{After: after} },
	func(after eventstore.Position) step { return step{After: after, Through: after + 25} },
	func(after eventstore.Position) step { return step{After: after, Limit: 20} },
	func(after eventstore.Position) step {
		return step{After: after, Through: after + 50, Query: eventstore.Tagged("half:1")}
	},
}

type step eventstore.LogQuery

func (s step) unbounded() eventstore.LogQuery { return eventstore.LogQuery{Query: s.Query} }

// follower is a subscription at its barest: a checkpoint, and reads from it.
type follower struct {
	store eventstore.Store
	next  func(after eventstore.Position) step

	checkpoint eventstore.Anchor
	seen       []eventstore.Recorded
	err        error
}

// follow reads until it has reached the head after the writing is over.
func (f *follower) follow(ctx, writing context.Context) {
	for {
		over := writing.Err() != nil // asked before the read, so that the last read has everything
		caughtUp, err := f.advance(ctx)
		if err != nil {
			f.err = err
			return
		}
		if caughtUp && over {
			return
		}
		if caughtUp {
			_ = eventstore.WaitAppended(writing, f.store, f.checkpoint.Position) // its error: the writing is over
		}
	}
}

func (f *follower) advance(ctx context.Context) (caughtUp bool, err error) {
	read, err := f.store.ReadLog(ctx, eventstore.LogQuery(f.next(f.checkpoint.Position)))
	if err != nil {
		return false, err
	}
	if read.After != f.checkpoint {
		return false, fmt.Errorf("anchor is %v, the checkpoint was %v", read.After, f.checkpoint)
	}
	events, err := collect(read.Events())
	f.seen = append(f.seen, events...)
	f.checkpoint = read.Through
	return read.Through.Position == read.Head, err
}

// compare says what is wrong with what a reader saw of the log, "" if nothing.
func compare(seen, log []eventstore.Recorded) string {
	times := map[eventstore.Position]int{}
	reordered, duplicated, skipped, changed := 0, 0, 0, 0
	for n, e := range seen {
		if n > 0 && e.Position < seen[n-1].Position {
			reordered++
		}
		if times[e.Position]++; times[e.Position] > 1 {
			duplicated++
		}
	}
	for _, e := range log {
		if times[e.Position] == 0 {
			skipped++
		}
	}
	if reordered+duplicated+skipped == 0 && len(seen) == len(log) {
		for n := range log {
			if !seen[n].Equal(log[n]) {
				changed++
			}
		}
		if changed == 0 {
			return ""
		}
	}
	return fmt.Sprintf("of %d events it saw %d: %d skipped, %d reordered, %d duplicated, %d not as the log has them now",
		len(log), len(seen), skipped, reordered, duplicated, changed)
}

// checkAcked proves the log itself: no gap, every acknowledged event once and where
// its receipt says, and nothing that was refused.
func (c *check) checkAcked(log []eventstore.Recorded, writers []hostileWriter) {
	acked, refused := map[string]eventstore.Position{}, 0
	for _, w := range writers {
		c.must(w.err, "hostile writer")
		refused += w.refused
		maps.Copy(acked, w.acked)
	}
	if refused == 0 {
		c.fatalf("no append was refused, so the mix was not hostile")
	}
	for n, e := range log {
		equal(c, "position in the log", e.Position, eventstore.Position(n+1))
		position, ok := acked[string(e.Data)]
		if !ok || position != e.Position {
			c.fatalf("event %q stands at %d; acknowledged: %v, at %d", e.Data, e.Position, ok, position)
		}
		delete(acked, string(e.Data))
	}
	equal(c, "acknowledged events that the log does not have", len(acked), 0)
}
