package subscription

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// tape is a log that is made while it is read, so that a long one takes no memory. It can be
// rolled back: from a position on it has other events.
type tape struct {
	id   eventstore.Identity
	size int // of an event

	mu     sync.Mutex
	head   eventstore.Position
	forks  []eventstore.Position // where other events begin
	failed error                 // what the next read gives
	grown  chan struct{}
	reads  int
	waits  int
	asleep int
}

func newTape(head eventstore.Position) *tape {
	return &tape{id: eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}, head: head, grown: make(chan struct{})}
}

// eventID names the position, and how often the log had been rolled back to before it.
func (l *tape) eventID(position eventstore.Position) (id eventstore.EventID) {
	if position == 0 {
		return id
	}
	binary.BigEndian.PutUint64(id[:], uint64(position))
	for n, fork := range l.forks {
		if position >= fork {
			id[15] = byte(n + 1)
		}
	}
	return id
}

func historyOf(e eventstore.Recorded) int { return int(e.ID[15]) }

func (l *tape) anchor(position eventstore.Position) eventstore.Anchor {
	return eventstore.Anchor{Position: position, EventID: l.eventID(position)}
}

func (l *tape) Head(ctx context.Context) (eventstore.Token, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return eventstore.Token{Identity: l.id, Position: l.head}, ctx.Err()
}

func (l *tape) ReadLog(ctx context.Context, q eventstore.LogQuery) (*eventstore.LogRead, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if err := l.failed; err != nil {
		l.failed = nil
		return nil, err
	}
	if q.After > l.head {
		return nil, eventstore.ErrAheadOfLog
	}
	through := min(q.Through, l.head)
	facts := eventstore.LogRead{Identity: l.id, After: l.anchor(q.After), Through: l.anchor(through), Head: l.head}
	forks := slices.Clone(l.forks)
	return eventstore.NewLogRead(facts, func(yield func(eventstore.Recorded, error) bool) {
		as := tape{forks: forks}
		for at := q.After + 1; at <= through; at++ {
			if !yield(eventstore.Recorded{EventData: eventstore.EventData{ID: as.eventID(at), Data: make([]byte, l.size)}, Position: at}, nil) {
				return
			}
		}
	}), ctx.Err()
}

func (l *tape) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	l.mu.Lock()
	l.waits++
	l.asleep++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.asleep--
		l.mu.Unlock()
	}()
	for {
		l.mu.Lock()
		grown, head := l.grown, l.head
		l.mu.Unlock()
		if head > beyond {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rollBack gives the positions from one on to other events.
func (l *tape) rollBack(from, head eventstore.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forks, l.head = append(l.forks, from), head
}

func (l *tape) grow(n eventstore.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head += n
	close(l.grown)
	l.grown = make(chan struct{})
}

// recorder is a target that keeps what it is given, and where it stands.
type recorder struct {
	mu     sync.Mutex
	at     Checkpoint
	events []eventstore.Recorded
	before func(Window) error
}

func (r *recorder) Checkpoint(context.Context, eventstore.StoreID) (Checkpoint, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, nil
}

func (r *recorder) Apply(_ context.Context, w Window) error {
	if r.before != nil {
		if err := r.before(w); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.From != r.at {
		return ErrStale
	}
	r.at = w.To
	r.events = append(r.events, w.Events...)
	return nil
}

// whole says what of the positions up to the target's is not there, or not of the history.
func (r *recorder) whole(history func(eventstore.Position) int) error {
	for n, e := range r.events {
		if at := eventstore.Position(n + 1); e.Position != at || historyOf(e) != history(at) {
			return fmt.Errorf("event %d is %d of history %d", at, e.Position, historyOf(e))
		}
	}
	if len(r.events) != int(r.at.Position()) {
		return fmt.Errorf("%d events, the checkpoint is at %s", len(r.events), r.at.Anchor)
	}
	return nil
}

func original(eventstore.Position) int { return 0 }

type nextFunc func(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error)

// plant puts a mistake into a feed.
type plant func(f *feed) nextFunc

func sound(f *feed) nextFunc { return f.next }

// reading is some targets that read one log through one feed, step by step.
type reading struct {
	feed    *feed
	next    nextFunc
	targets []*recorder
	readers []*Subscription
}

func read(ctx context.Context, log *tape, readers int, options Options, mistake plant) *reading {
	from := newSource(log, eventstore.Query{}, options)
	r := &reading{feed: newFeed(ctx, from)}
	r.next = mistake(r.feed)
	for range readers {
		target := &recorder{at: Checkpoint{Source: log.id}}
		r.targets = append(r.targets, target)
		r.readers = append(r.readers, &Subscription{source: from, target: target})
		r.feed.readers[r.readers[len(r.readers)-1]] = 0
	}
	return r
}

func keptBy(f *feed) []*piece {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pieces)
}

// step has a reader apply the piece behind its checkpoint.
func (r *reading) step(ctx context.Context, n int) error {
	p, err := r.next(ctx, r.readers[n], r.targets[n].at, false, 1<<62)
	if err == nil {
		_, err = r.readers[n].apply(ctx, r.targets[n].at, p)
	}
	return err
}

func (r *reading) steps(ctx context.Context, n int, to eventstore.Position) error {
	for r.targets[n].at.Position() < to {
		if err := r.step(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

var four = Options{Window: 4}

// The log is rolled back between two readers. Where the one that is ahead finds that out, the
// other one must not be led into the old log by what was read before: it is not diverged.
func checkRollbackBetweenReaders(ctx context.Context, mistake plant) error {
	log := newTape(20)
	r := read(ctx, log, 2, four, mistake)
	defer r.feed.close()
	if err := errors.Join(r.steps(ctx, 1, 4), r.steps(ctx, 0, 12)); err != nil {
		return err
	}
	log.rollBack(7, 20)
	_ = r.step(ctx, 0) // perhaps one that was read before
	if err := r.steps(ctx, 0, 20); !errors.Is(err, eventstore.ErrDiverged) {
		return fmt.Errorf("the reader ahead: %w", err)
	}
	if err := r.steps(ctx, 1, 20); err != nil {
		return fmt.Errorf("the reader behind: %w", err)
	}
	return r.targets[1].whole(func(at eventstore.Position) int {
		if at < 7 {
			return 0
		}
		return 1
	})
}

func TestWhatWasReadBeforeARollbackIsForgotten(t *testing.T) {
	require.NoError(t, checkRollbackBetweenReaders(t.Context(), sound))
	require.Error(t, checkRollbackBetweenReaders(t.Context(), func(f *feed) nextFunc {
		kept := map[place]*piece{}
		return func(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error) {
			if p := kept[from.place()]; p != nil {
				return p, nil
			}
			p, err := f.next(ctx, reader, from, wait, wanted)
			kept[from.place()] = p
			return p, err
		}
	}), "a piece is used again though the log has diverged")
}

// A checkpoint that somebody else has moved on in a new life of the store must not go on in what
// was read in the old one.
func TestAPieceIsOfOneLifeOfTheStore(t *testing.T) {
	log := newTape(20)
	r := read(t.Context(), log, 2, four, sound)
	defer r.feed.close()
	require.NoError(t, errors.Join(r.steps(t.Context(), 1, 4), r.steps(t.Context(), 0, 8)))
	log.id.Incarnation++
	log.rollBack(7, 20)
	r.targets[1].at.Source = log.id // at 4, in the new life
	require.NoError(t, r.steps(t.Context(), 1, 20))
	assert.Equal(t, log.id, r.targets[1].at.Source)
	assert.NoError(t, r.targets[1].whole(func(at eventstore.Position) int { return min(int(at)/7, 1) }))
}

func checkLaggard(ctx context.Context, mistake plant) error {
	log := newTape(40)
	r := read(ctx, log, 2, four, mistake)
	defer r.feed.close()
	if err := errors.Join(r.steps(ctx, 0, 40), r.steps(ctx, 1, 40)); err != nil {
		return err
	}
	return errors.Join(r.targets[0].whole(original), r.targets[1].whole(original))
}

func TestALaggardIsGivenWhatFollowsItsCheckpoint(t *testing.T) {
	require.NoError(t, checkLaggard(t.Context(), sound))
	require.Error(t, checkLaggard(t.Context(), func(f *feed) nextFunc {
		return func(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error) {
			if kept := keptBy(f); len(kept) > 2 {
				<-kept[0].done
				return kept[0], nil
			}
			return f.next(ctx, reader, from, wait, wanted)
		}
	}), "a laggard is given the oldest piece there is")
}

// Three readers have taken the first piece, and one of them goes ahead.
func checkBound(ctx context.Context, mistake plant) error {
	log := newTape(1000)
	r := read(ctx, log, 3, four, mistake)
	defer r.feed.close()
	for n := range r.readers {
		if err := r.step(ctx, n); err != nil {
			return err
		}
	}
	synctest.Wait()
	if log.reads != 2 {
		return fmt.Errorf("%d pieces were read, want the one that is applied and the next one", log.reads)
	}
	for r.targets[0].at.Position() < 1000 {
		if err := r.step(ctx, 0); err != nil {
			return err
		}
		if kept := keptBy(r.feed); len(kept) > 6 {
			return fmt.Errorf("%d pieces are kept", len(kept))
		}
	}
	synctest.Wait()
	if log.reads != 250 {
		return fmt.Errorf("%d pieces were read, want 250", log.reads)
	}
	if err := errors.Join(r.steps(ctx, 1, 1000), r.steps(ctx, 2, 1000)); err != nil {
		return err
	}
	for n := range r.readers {
		r.feed.leave(r.readers[n])
	}
	if len(keptBy(r.feed)) > 0 {
		return errors.New("something is kept for nobody")
	}
	return nil
}

func TestWhatIsReadAheadAndKeptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, checkBound(t.Context(), sound))
	})
	for name, mistake := range map[string]plant{
		"it reads ahead without end": func(f *feed) nextFunc {
			return func(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error) {
				first, err := f.next(ctx, reader, from, wait, wanted)
				for p := first; err == nil && p.facts.Through.Position < p.facts.Head; {
					p = f.ask(p.end(), false, nil)
					<-p.done
				}
				return first, err
			}
		},
		"it keeps what it has read": func(f *feed) nextFunc {
			var all []*piece
			return func(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error) {
				p, err := f.next(ctx, reader, from, wait, wanted)
				all = append(all, p)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.pieces = slices.Clone(all)
				return p, err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				require.Error(t, checkBound(t.Context(), mistake))
			})
		})
	}
}

func checkPrepared(ctx context.Context, mistake plant) error {
	options := four
	options.Prepare = func(events []eventstore.Recorded) any { return &events[0] }
	r := read(ctx, newTape(40), 2, options, mistake)
	defer r.feed.close()
	for _, target := range r.targets {
		target.before = func(w Window) error {
			if w.Prepared != any(&w.Events[0]) {
				return errors.New("what is prepared is not of these events")
			}
			return nil
		}
	}
	return errors.Join(r.steps(ctx, 0, 20), r.steps(ctx, 1, 40), r.steps(ctx, 0, 40))
}

func TestWhatIsPreparedIsOfTheSameWindow(t *testing.T) {
	require.NoError(t, checkPrepared(t.Context(), sound))
	require.Error(t, checkPrepared(t.Context(), func(f *feed) nextFunc {
		var last any
		return func(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error) {
			p, err := f.next(ctx, reader, from, wait, wanted)
			other := *p
			if last != nil {
				other.prepared = last
			}
			last = p.prepared
			return &other, err
		}
	}), "what was prepared of the window before")
}

// Each is a way for code that prepares to leave: by its own end, or by that of its goroutine.
func TestCodeThatEndsItsGoroutineIsAFailedRead(t *testing.T) {
	options := four
	options.Prepare = func([]eventstore.Recorded) any { runtime.Goexit(); return nil }
	r := read(t.Context(), newTape(8), 1, options, sound)
	defer r.feed.close()
	require.ErrorIs(t, r.step(t.Context(), 0), errNotRead)
}

func TestAReadThatFailedIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(12)
		r := read(t.Context(), log, 2, four, sound)
		defer r.feed.close()
		require.NoError(t, r.step(t.Context(), 0))
		synctest.Wait() // the next piece is there
		log.failed = errors.New("connection reset")
		require.NoError(t, r.step(t.Context(), 0))
		synctest.Wait() // and the one behind it has failed: nobody has asked for it
		require.NoError(t, r.steps(t.Context(), 0, 12))
		log.failed = errors.New("connection reset")
		require.ErrorContains(t, r.step(t.Context(), 1), "connection reset")
		require.NoError(t, r.steps(t.Context(), 1, 12))
		require.NoError(t, r.targets[1].whole(original))
	})
}

// A reader that goes away takes nothing from those that wait for the same piece.
func TestAReaderThatStopsDoesNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(4)
		f := newFeed(t.Context(), newSource(log, eventstore.Query{}, four))
		defer f.close()
		var targets [3]recorder
		var all sync.WaitGroup
		first, cancel := context.WithCancel(t.Context())
		rest, stop := context.WithCancel(t.Context())
		for n := range targets {
			ctx := rest
			if n == 0 {
				ctx = first
			}
			targets[n].at.Source = log.id
			s := &Subscription{source: f.source, target: &targets[n], feed: f}
			all.Go(func() { assert.NoError(t, s.Run(ctx)) })
			synctest.Wait()
		}
		assert.Equal(t, 1, log.waits, "all wait for one wake-up")
		cancel()
		synctest.Wait()
		log.grow(2)
		synctest.Wait()
		assert.Equal(t, 2, log.waits, "and then for the next one")
		for n, want := range []eventstore.Position{4, 6, 6} {
			assert.Equal(t, want, targets[n].at.Position())
		}
		stop()
		all.Wait()
		assert.Empty(t, keptBy(f))
	})
}

// Where all wait for more, one that comes along and looks is told at once that there is nothing;
// and when all have gone, nobody waits for them.
func TestWhoLooksDoesNotWaitForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(4)
		r := read(t.Context(), log, 2, four, sound)
		defer r.feed.close()
		require.NoError(t, errors.Join(r.steps(t.Context(), 0, 4), r.steps(t.Context(), 1, 4)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := r.next(ctx, r.readers[0], r.targets[0].at, true, 1<<62)
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, r.step(t.Context(), 1))
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Equal(t, 1, log.asleep)
		r.feed.leave(r.readers[0])
		r.feed.leave(r.readers[1])
		synctest.Wait()
		require.Zero(t, log.asleep)
	})
}

// Readers who began at different places come to the same pieces.
func TestReadersMeet(t *testing.T) {
	log := newTape(400)
	r := read(t.Context(), log, 2, four, sound)
	defer r.feed.close()
	r.targets[1].at = r.targets[1].at.next(log.id, log.anchor(2))
	for r.targets[0].at.Position() < 400 {
		require.NoError(t, errors.Join(r.step(t.Context(), 0), r.step(t.Context(), 1)))
		require.Equal(t, r.targets[0].at, r.targets[1].at)
	}
	require.Equal(t, 101, log.reads)
}

// While the newest window is applied, what is appended is read.
func TestWhatComesWhileTheNewestWindowIsAppliedIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(4)
		r := read(t.Context(), log, 1, four, sound)
		defer r.feed.close()
		_, err := r.next(t.Context(), r.readers[0], r.targets[0].at, false, 1<<62)
		require.NoError(t, err) // it is being applied now
		synctest.Wait()
		require.Equal(t, []int{1, 1}, []int{log.reads, log.asleep})
		log.grow(2)
		synctest.Wait()
		require.Equal(t, []int{2, 0}, []int{log.reads, log.asleep})
		require.NoError(t, r.steps(t.Context(), 0, 6))
		require.NoError(t, r.targets[0].whole(original))
	})
}

func TestNothingIsReadAheadOfWhatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(12)
		r := read(t.Context(), log, 1, four, sound)
		defer r.feed.close()
		_, err := r.next(t.Context(), r.readers[0], r.targets[0].at, false, 4)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, log.reads)
	})
}

// What a target failed on is read again for its next try.
func TestAWindowThatFailedIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(8)
		prepared := 0
		options := four
		options.Prepare = func([]eventstore.Recorded) any { prepared++; return prepared }
		seen := map[any]bool{}
		to := &recorder{}
		to.before = func(w Window) error {
			if seen[w.Prepared] {
				return fmt.Errorf("%w: window %v was handed over before", ErrPermanent, w.Prepared)
			}
			seen[w.Prepared] = true
			if len(seen)%2 == 1 {
				return errors.New("deadlock")
			}
			return nil
		}
		require.NoError(t, New("test", log, eventstore.Query{}, to, options).CatchUp(t.Context()))
		require.NoError(t, to.whole(original))
		assert.Len(t, seen, 4)
	})
}

// A million events are read with the memory of a few windows, also by a reader that runs away
// from one that stands still.
func TestMemoryStaysFlatOverALongBacklog(t *testing.T) {
	const events, size, window = 1_000_000, 500, 5000
	log := newTape(events)
	log.size = size
	options := Options{Window: window, Prepare: func(events []eventstore.Recorded) any { return slices.Clone(events) }}
	r := read(t.Context(), log, 2, options, sound)
	defer r.feed.close()
	require.NoError(t, r.step(t.Context(), 1))
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	for r.targets[0].at.Position() < events {
		require.NoError(t, r.step(t.Context(), 0))
		r.targets[0].events = nil
		if r.targets[0].at.Position()%100_000 == 0 {
			// Events, their structs and what is prepared of them; 4 pieces are kept.
			require.Less(t, used(), before+6*window*(size+600), "at position %d", r.targets[0].at.Position())
		}
	}
}
