package commandtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// Plan returns the n-th command of a client. Two clients at a time use the same ids for the same
// commands, each as another principal: these are different commands.
func Plan(client, n int) Command {
	c := Command{
		Principal: []string{"ada", "bob"}[client%2],
		ID:        fmt.Sprintf("%d-%d", client/2, n),
		From:      fmt.Sprint((client/2 + n) % 6),
		To:        fmt.Sprint((client/2 + n + 1 + n%5) % 6),
	}
	switch n % 6 {
	case 0:
		c.Kind, c.Cents = Deposit, 20
	case 1:
		c.Kind, c.Cents = Withdraw, 25
	case 2:
		c.Kind, c.Cents = Transfer, 7
	case 3:
		c.Kind, c.Cents = Exchange, 9
	case 4:
		c.Kind, c.Email = Register, fmt.Sprint("mail-", n/6%3)
		c.To = fmt.Sprintf("%s-%d-%d", c.Principal, client/2, n)
		if n%12 == 10 {
			c.Kind = Unregister // whom this client has registered before
			c.To, c.Email = fmt.Sprintf("%s-%d-%d", c.Principal, client/2, n-6), ""
		}
	case 5:
		c.Kind = Look
	}
	return c
}

// Answer is the answer to a command: a receipt, or why it was refused.
type Answer struct {
	Receipt *eventstore.Receipt
	Poor    *PoorError
	Taken   *aggregate.TakenError
}

// answerOf reports whether an outcome is an answer, and whether asking again may bring one.
func answerOf(receipt eventstore.Receipt, err error) (a Answer, answered, again bool) {
	poor, isPoor := errors.AsType[*PoorError](err)
	taken, isTaken := errors.AsType[*aggregate.TakenError](err)
	switch {
	case err == nil:
		return Answer{Receipt: &receipt}, true, false
	case isPoor:
		return Answer{Poor: poor}, true, false
	case isTaken:
		return Answer{Taken: taken}, true, false
	}
	return a, false, errors.Is(err, eventstore.ErrOutcomeUnknown) || errors.Is(err, eventstore.ErrStoreBusy)
}

// Node is a process that handles commands.
type Node struct {
	bus *command.Bus

	mu     sync.Mutex
	losing map[int]context.CancelFunc // those that wait for an answer
	last   int
	lost   int
}

// NewNode returns a node that works on the store.
func NewNode(store eventstore.Store) *Node {
	return &Node{bus: NewBus(store), losing: map[int]context.CancelFunc{}}
}

// Cut breaks the connections of all who wait for an answer: whatever it is, they do not hear it.
func (n *Node) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, lose := range n.losing {
		lose()
	}
	n.lost += len(n.losing)
	clear(n.losing)
}

// Lost returns how many answers were not heard.
func (n *Node) Lost() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

var errNotHeard = fmt.Errorf("%w: the client's connection was cut", eventstore.ErrOutcomeUnknown)

// Dispatch hands the command to the bus.
func (n *Node) Dispatch(ctx context.Context, c Command) (eventstore.Receipt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	n.last++
	mine := n.last
	n.losing[mine] = cancel
	n.mu.Unlock()

	receipt, err := n.bus.Dispatch(ctx, c, command.ID(c.ID), command.Principal(c.Principal))

	n.mu.Lock()
	_, heard := n.losing[mine]
	delete(n.losing, mine)
	n.mu.Unlock()
	if !heard {
		return eventstore.Receipt{}, errNotHeard
	}
	return receipt, err
}

// Dispatch is how a client sends a command for the n-th time.
type Dispatch func(ctx context.Context, c Command, nth int) (eventstore.Receipt, error)

// Patiently is a client that sends a command under its one id, to one node after the other.
func Patiently(nodes ...*Node) Dispatch {
	return func(ctx context.Context, c Command, nth int) (eventstore.Receipt, error) {
		return nodes[nth%len(nodes)].Dispatch(ctx, c)
	}
}

// Blindly is a mutant of a client: each time it sends the command under another id.
func Blindly(nodes ...*Node) Dispatch {
	return func(ctx context.Context, c Command, nth int) (eventstore.Receipt, error) {
		if nth > 0 {
			c.ID = fmt.Sprint(c.ID, "+", nth)
		}
		return nodes[nth%len(nodes)].Dispatch(ctx, c)
	}
}

// Answered is a command with its answer.
type Answered struct {
	Command Command
	Answer  Answer
	Asked   int // times
}

// Ask sends the command until it has an answer.
func Ask(ctx context.Context, dispatch Dispatch, c Command) (Answered, error) {
	for nth := 0; ; nth++ {
		receipt, err := dispatch(ctx, c, nth)
		answer, answered, again := answerOf(receipt, err)
		switch {
		case answered:
			return Answered{c, answer, nth + 1}, nil
		case !again:
			return Answered{}, fmt.Errorf("%s %s: %w", c.Kind, c.Name(), err)
		}
	}
}

// AskAll lets so many clients send so many commands each, and returns the answers.
func AskAll(ctx context.Context, dispatch Dispatch, clients, each int) ([]Answered, error) {
	answers, errs := make([][]Answered, clients), make([]error, clients)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for n := range each {
				answered, err := Ask(ctx, dispatch, Plan(client, n))
				if err != nil {
					errs[client] = err
					return
				}
				answers[client] = append(answers[client], answered)
			}
		})
	}
	all.Wait()
	var together []Answered
	for _, a := range answers {
		together = append(together, a...)
	}
	return together, errors.Join(errs...)
}
