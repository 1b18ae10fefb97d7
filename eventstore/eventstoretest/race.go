package eventstoretest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

const racers = 16

var raceClauses = []clause{
	{"of racers that expect one version exactly one wins", raceForVersion},
	{"of racers for one tag exactly one wins, barriered before the read", raceOneTag(beforeRead)},
	{"of racers for one tag exactly one wins, barriered after the read", raceOneTag(afterRead)},
	{"racers for different tags all win, barriered before the read", raceOwnTags(beforeRead)},
	{"racers for different tags all win, barriered after the read", raceOwnTags(afterRead)},
	{"of racers for overlapping tags no two neighbours win and none loses to nobody, barriered before the read", raceRing(beforeRead)},
	{"of racers for overlapping tags no two neighbours win and none loses to nobody, barriered after the read", raceRing(afterRead)},
}

// barrier is where the racers of a round meet. Met before the read, reads and appends
// mix in every way; met after it, every decision rests on the same, soon stale, log.
type barrier bool

const (
	beforeRead barrier = false
	afterRead  barrier = true
)

func raceForVersion(c *check) {
	for round := range c.rounds(300) {
		stream := eventstore.NewStreamID("race", fmt.Sprint(round/4))
		expected := eventstore.Exactly(eventstore.Version(round % 4))
		won, errs := make([]bool, racers), make([]error, racers)
		together(racers, func(i int) {
			_, err := c.store.Append(c.ctx, expecting(expected, stream, event("won")))
			won[i], errs[i] = settle(err, eventstore.ErrVersionConflict)
		})
		c.must(errors.Join(errs...), "append")
		equal(c, fmt.Sprintf("winners of round %d", round), count(won), 1)
	}
}

// raceOneTag: everybody wants the same seat.
func raceOneTag(at barrier) func(c *check) {
	return func(c *check) {
		for round := range c.rounds(300) {
			seat := eventstore.NewTag("seat", fmt.Sprint(round))
			won := c.race(at, func(int) []eventstore.Tag { return []eventstore.Tag{seat} })
			equal(c, fmt.Sprintf("winners of round %d", round), count(won), 1)
		}
	}
}

// raceOwnTags: everybody wants another seat, and nobody may be refused for a
// stranger's event.
func raceOwnTags(at barrier) func(c *check) {
	return func(c *check) {
		for round := range c.rounds(100) {
			won := c.race(at, func(i int) []eventstore.Tag {
				return []eventstore.Tag{eventstore.NewTag("seat", fmt.Sprint(round, i))}
			})
			equal(c, fmt.Sprintf("winners of round %d", round), count(won), racers)
		}
	}
}

// raceRing: racer i needs seats i and i+1 at a round table, so it conflicts with its
// two neighbours and with nobody else.
func raceRing(at barrier) func(c *check) {
	return func(c *check) {
		for round := range c.rounds(300) {
			won := c.race(at, func(i int) []eventstore.Tag {
				return []eventstore.Tag{
					eventstore.NewTag("seat", fmt.Sprint(round, i)),
					eventstore.NewTag("seat", fmt.Sprint(round, (i+1)%racers)),
				}
			})
			for i := range won {
				left, right := won[(i+racers-1)%racers], won[(i+1)%racers]
				if won[i] && right {
					c.fatalf("round %d: racers %d and %d share a seat and both won", round, i, (i+1)%racers)
				}
				if !won[i] && !left && !right {
					c.fatalf("round %d: racer %d lost, and no neighbour of it won", round, i)
				}
			}
		}
	}
}

// race runs one round: each racer reads what touches any of its seats and takes them
// all on the condition that nobody else has. It returns who won.
func (c *check) race(at barrier, seats func(i int) []eventstore.Tag) []bool {
	won, errs := make([]bool, racers), make([]error, racers)
	var haveRead sync.WaitGroup
	haveRead.Add(racers)
	together(racers, func(i int) {
		tags := seats(i)
		d, err := c.decide(anyOf(tags))
		haveRead.Done()
		if at == afterRead {
			haveRead.Wait()
		}
		if err == nil {
			won[i], err = c.take(d, event("taken", tags...))
		}
		errs[i] = err
	})
	c.must(errors.Join(errs...), "race")
	return won
}

// anyOf returns the query for events with at least one of the tags.
func anyOf(tags []eventstore.Tag) eventstore.Query {
	query := eventstore.Tagged(tags[0])
	for _, tag := range tags[1:] {
		query = query.Or(eventstore.Tagged(tag))
	}
	return query
}

// decision is what a client knows when it decides: whether anything matched, and up
// to where it has looked.
type decision struct {
	query eventstore.Query
	taken bool
	after eventstore.Position
}

func (c *check) decide(query eventstore.Query) (decision, error) {
	read, err := c.store.ReadLog(c.ctx, eventstore.LogQuery{Query: query})
	if err != nil {
		return decision{}, err
	}
	matching, err := collect(read.Events())
	return decision{query, len(matching) > 0, read.Through.Position}, err
}

// take appends the event unless the seat was taken, then or since.
func (c *check) take(d decision, e eventstore.EventData) (won bool, err error) {
	if d.taken {
		return false, nil
	}
	_, err = c.store.Append(c.ctx, unless(to("table-1", e), d.query, d.after))
	return settle(err, eventstore.ErrConditionFailed)
}

// settle tells a win from a loss, and both from trouble.
func settle(err, loss error) (won bool, trouble error) {
	if errors.Is(err, loss) {
		return false, nil
	}
	return err == nil, err
}

func count(won []bool) int {
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	return n
}
