//go:build unix

package torture_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

const (
	users  = 64
	boards = 8
	// patience is how long an answer may take: the primaries are always there.
	patience = 20 * time.Second
)

// user writes and reads, and knows what it must see.
type user struct {
	*reads

	name   string
	random *rand.Rand
	mine   eventstore.Token // of its writes
	seen   eventstore.Token // of all it has read
	rows   map[string]int64 // that it has read, and how many events they had
	mail   chan letter
	others []*user
}

// letter is what a user tells another one.
type letter struct {
	from  string
	token eventstore.Token
}

// reads is a run: the users, and what they have met.
type reads struct {
	world *world
	bus   *query.Bus
	book  *book

	mu    sync.Mutex
	waits map[string][]time.Duration // by kind of question
	total int
	more  chan struct{} // closed at the next answer
}

func newReads(w *world, bus *query.Bus) *reads {
	return &reads{world: w, bus: bus, book: newBook(), waits: map[string][]time.Duration{}, more: make(chan struct{})}
}

func (r *reads) newUsers(seed uint64) []*user {
	all := make([]*user, users)
	for n := range all {
		all[n] = &user{
			reads: r, name: fmt.Sprint("player-", n), random: rand.New(rand.NewPCG(seed, uint64(n))),
			rows: map[string]int64{}, mail: make(chan letter, 1), others: all,
		}
	}
	return all
}

// live writes and reads until the run is over.
func (u *user) live(ctx context.Context, over <-chan struct{}) error {
	for {
		select {
		case <-over:
			return nil
		default:
		}
		if err := u.act(ctx); err != nil {
			return fmt.Errorf("%s: %w", u.name, err)
		}
	}
}

func (u *user) act(ctx context.Context) error {
	board := fmt.Sprint("board-", u.random.IntN(boards))
	q := question{Keys: []string{u.name, board}, Listed: u.random.IntN(8) == 0, From: [][]string{{"postgres"}, {"redis"}, {"postgres", "redis"}}[u.random.IntN(3)]}
	select {
	case l := <-u.mail: // what another one has written must be there too
		q.Keys = append(q.Keys, l.from)
		return u.askAfter(ctx, "after another's write", q, l.token)
	default:
	}
	switch u.random.IntN(8) {
	case 0, 1, 2:
		if err := u.write(ctx, board); err != nil {
			return err
		}
		return u.askAfter(ctx, "after a write", q, u.mine)
	case 3:
		return u.askAfter(ctx, "after a write", q, u.mine)
	case 4, 5:
		q.Keys = append(q.Keys, slices.Collect(maps.Keys(u.rows))...)
		return u.askAgain(ctx, q)
	case 6:
		return u.askBounded(ctx, q, []time.Duration{0, 50 * time.Millisecond, time.Second}[u.random.IntN(3)])
	default:
		_, err := u.ask(ctx, "of any age", q)
		return err
	}
}

// write appends an event to a stream of its own or to one of a board, and may tell another user.
func (u *user) write(ctx context.Context, board string) error {
	stream := eventstore.NewStreamID("player", u.name)
	if u.random.IntN(2) == 0 {
		stream = eventstore.NewStreamID("board", board)
	}
	event := scored{Player: u.name, Board: board}
	token, err := u.world.append(ctx, stream, event)
	if err != nil {
		return err
	}
	u.mine = token
	u.book.write(event, token.Position)
	select {
	case u.others[u.random.IntN(users)].mail <- letter{u.name, token}:
	default:
	}
	return nil
}

// askAfter asks for what was there up to the token.
func (u *user) askAfter(ctx context.Context, kind string, q question, token eventstore.Token) error {
	answers, err := u.ask(ctx, kind, q, query.After(token))
	if err != nil {
		return err
	}
	return check(kind, q, answers, func(key string) int64 { return u.book.upTo(key, token.Position) })
}

// askAgain asks for nothing older than what it has read.
func (u *user) askAgain(ctx context.Context, q question) error {
	const kind = "no older than the last answer"
	before, upTo := maps.Clone(u.rows), u.seen
	answers, err := u.ask(ctx, kind, q, query.After(upTo))
	if err != nil {
		return err
	}
	return check(kind, q, answers, func(key string) int64 { return max(before[key], u.book.upTo(key, upTo.Position)) })
}

// askBounded asks for what was there a while ago.
func (u *user) askBounded(ctx context.Context, q question, d time.Duration) error {
	kind := fmt.Sprint("at most ", d, " old")
	asked := time.Now()
	answers, err := u.ask(ctx, kind, q, query.MaxStale(d))
	if err != nil {
		return err
	}
	return check(kind, q, answers, func(key string) int64 { return u.book.before(key, asked.Add(-d)) })
}

// ask asks, and checks what the answer says of itself.
func (u *user) ask(ctx context.Context, kind string, q question, options ...query.AskOption) ([]answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var told query.Freshness
	began := time.Now()
	answers, err := query.Ask[[]answer](ctx, u.bus, q, append(options, query.Tell(&told), query.Wait(patience))...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	u.count(kind, time.Since(began), len(answers))
	for _, a := range answers {
		for _, row := range a.rows {
			u.rows[row.Key] = max(u.rows[row.Key], row.Events)
			u.book.saw(row)
		}
	}
	for _, token := range told.After {
		if token.Position > u.seen.Position {
			u.seen = token
		}
	}
	for _, token := range told.Includes {
		err = check("by what it says it includes", q, answers, func(key string) int64 { return u.book.upTo(key, token.Position) })
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// staleError is what must not happen.
type staleError struct {
	kind, from, key string
	have, want      int64
}

func (e *staleError) Error() string {
	return fmt.Sprintf("stale: a read %s from %s has %d events of %s, of %d", e.kind, e.from, e.have, e.key, e.want)
}

// check returns an error if a row lacks events.
func check(kind string, q question, answers []answer, want func(key string) int64) error {
	for _, key := range q.Keys {
		events := want(key)
		for _, a := range answers {
			if have := a.rows[key].Events; have < events {
				return &staleError{kind, a.from, key, have, events}
			}
		}
	}
	return nil
}

// count adds an answer to the report.
func (r *reads) count(kind string, took time.Duration, answers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits[kind] = append(r.waits[kind], took)
	r.total += answers
	close(r.more)
	r.more = make(chan struct{})
}

// progress returns how many answers there were, and a channel that is closed at the next one.
func (r *reads) progress() (int, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total, r.more
}

// await waits for so many more answers.
func (r *reads) await(ctx context.Context, more int) error {
	begin, next := r.progress()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-next:
		}
		var now int
		if now, next = r.progress(); now-begin >= more {
			return nil
		}
	}
}
