package system

import (
	"context"
	_ "embed"
	"runtime"

	"github.com/leftfold/leftfold/eventstore"
)

//go:embed prototype.sql
var prototypeSchema string

// Prototype is no store: it is the research prototype whose appends set Leftfold's goals, on
// another machine. Measured beside Leftfold it tells what the machine costs from what the
// product does. It has no command ids, no settlement of a batch whose outcome is unknown, no
// tombstones, no roles, no least privilege, no store identity and no fencing. The SQL is the
// original, the batcher is written after its description.
var Prototype = System{
	Name:   "prototype",
	Table:  "events",
	About:  "no store: the research prototype behind the goals of appends; a batch of what waits, by one call of es_append, one in flight; reads like naive",
	Create: func(ctx context.Context, url string) error { return execScript(ctx, url, prototypeSchema) },
	Open:   openPrototype,
}

// prototype appends by a batcher with a connection of its own. Its table is read like
// naive's, which is safe here: positions are in the order of commits.
type prototype struct {
	naive

	queue   chan *waiting
	stopped chan struct{}
}

// waiting is an append and where its answer goes.
type waiting struct {
	Append

	ids      []eventstore.EventID
	answered chan answer // has room for it
}

type answer struct {
	position int64
	err      error
}

func newWaiting(a Append) *waiting {
	w := &waiting{Append: a, ids: make([]eventstore.EventID, len(a.Events)), answered: make(chan answer, 1)}
	for n := range w.ids {
		w.ids[n] = eventstore.NewEventID()
	}
	return w
}

func openPrototype(ctx context.Context, url string, size int) (Store, error) {
	pool, err := openPool(ctx, url, size)
	if err != nil {
		return nil, err
	}
	caller, err := newPrototypeCaller(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	p := prototype{naive{pool}, make(chan *waiting, maxBatch), make(chan struct{})}
	go p.run(context.WithoutCancel(ctx), caller)
	return p, nil
}

// Close is called when no append is under way.
func (p prototype) Close() {
	close(p.queue)
	<-p.stopped
	p.naive.Close()
}

func (p prototype) Append(ctx context.Context, a Append) (int64, error) {
	w := newWaiting(a)
	p.queue <- w
	select {
	case answer := <-w.answered:
		return answer.position, answer.err
	case <-ctx.Done():
		return 0, ctx.Err() // its batch goes on
	}
}

// run makes a batch of what waits and calls the database, in turns, until the queue is closed.
func (p prototype) run(ctx context.Context, caller *prototypeCaller) {
	defer close(p.stopped)
	defer caller.close()
	var held []*waiting
	for {
		if len(held) == 0 {
			first, open := <-p.queue
			if !open {
				return
			}
			held = append(held, first)
		}
		// The callers that the last batch has answered are about to append again: let them.
		for range 4 {
			runtime.Gosched()
		}
		var batch []*waiting
		batch, held = nextBatch(p.drain(held))
		caller.call(ctx, batch)
	}
}

// drain adds what is in the queue.
func (p prototype) drain(waits []*waiting) []*waiting {
	for {
		select {
		case w, open := <-p.queue:
			if !open {
				return waits
			}
			waits = append(waits, w)
		default:
			return waits
		}
	}
}

// maxBatch is the most events of a batch, unless its first append alone has more.
const maxBatch = 1000

// nextBatch returns what of the waiting goes into the next batch and what waits on. es_append
// looks up the version of a stream once, so the second append to one has to wait.
func nextBatch(waits []*waiting) (batch, held []*waiting) {
	streams := make(map[string]bool, len(waits))
	events := 0
	for n, w := range waits {
		if n > 0 && events+len(w.Events) > maxBatch {
			return batch, append(held, waits[n:]...)
		}
		if streams[w.Stream] {
			held = append(held, w)
			continue
		}
		streams[w.Stream] = true
		events += len(w.Events)
		batch = append(batch, w)
	}
	return batch, held
}

var (
	_ StreamLoader = prototype{}
	_ LogReader    = prototype{}
	_ Subscriber   = prototype{}
)
