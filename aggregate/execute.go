package aggregate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// Plan is a decision about one aggregate, to be made and appended together with others
// by [ExecuteAll]. [Repository.Plan] makes one.
type Plan struct {
	stream   eventstore.StreamID
	attempts int // of its repository
	propose  func(context.Context, Store, settings) (proposed, error)
}

// proposed is one plan's part of a proposal.
type proposed struct {
	write   eventstore.Write
	version eventstore.Version  // that it was decided on
	life    eventstore.Identity // of the log that was read; zero: any
	old     bool                // it was not read: the state is a kept one
}

// ExecuteAll makes the plans' decisions and appends all their events in one append, all
// or none. Each decision sees its own aggregate. If any of the aggregates has moved
// meanwhile, all are loaded and decided again. For the rest it is [Repository.Execute].
//
// The plans may come from repositories of different types, but their aggregates must
// live in store, and be different ones.
func ExecuteAll(ctx context.Context, store Store, plans []Plan, options ...ExecuteOption) (eventstore.Receipt, error) {
	return executeAll(ctx, store, plans, newSettings(ctx, options))
}

func executeAll(ctx context.Context, store Store, plans []Plan, s settings) (eventstore.Receipt, error) {
	s = s.expecting(ctx)
	if s.maxAttempts == 0 {
		for _, plan := range plans {
			s.maxAttempts = max(s.maxAttempts, plan.attempts)
		}
	}
	streams := streamsOf(plans)
	if err := checkPlans(plans, streams, s); err != nil {
		return eventstore.Receipt{}, fmt.Errorf("execute %s: %w", strings.Join(streams, ", "), err)
	}
	x := execution{
		store:    store,
		command:  s.command(ctx, streams...),
		attempts: s.maxAttempts,
		propose: func(ctx context.Context) (proposal, error) {
			return proposeAll(ctx, store, plans, s)
		},
	}
	receipt, err := x.run(ctx)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("execute %s: %w", strings.Join(streams, ", "), err)
	}
	return receipt, nil
}

// streamsOf returns the names of the plans' streams, sorted: twins stand side by side,
// and an error reads the same in whatever order the plans came.
func streamsOf(plans []Plan) []string {
	streams := make([]string, len(plans))
	for n, plan := range plans {
		streams[n] = string(plan.stream)
	}
	slices.Sort(streams)
	return streams
}

func checkPlans(plans []Plan, sorted []string, s settings) error {
	if len(plans) == 0 {
		return &eventstore.InvalidError{What: "plans", Reason: "there are none"}
	}
	if s.expected != nil && len(plans) > 1 {
		return &eventstore.InvalidError{What: "ExpectVersion", Reason: "it is for one aggregate, there are several"}
	}
	for n := 1; n < len(sorted); n++ {
		if sorted[n] == sorted[n-1] {
			return &eventstore.InvalidError{What: "plans", Value: sorted[n], Reason: "two plans for one aggregate; the second would not see the first's events"}
		}
	}
	return nil
}

func proposeAll(ctx context.Context, store Store, plans []Plan, s settings) (proposal, error) {
	p := proposal{versions: make(map[eventstore.StreamID]eventstore.Version, len(plans))}
	for _, plan := range plans {
		part, err := plan.propose(ctx, store, s)
		if err != nil && len(plans) > 1 {
			err = fmt.Errorf("%s: %w", plan.stream, err)
		}
		if err != nil {
			return proposal{}, err
		}
		p.request.Writes = append(p.request.Writes, part.write)
		p.versions[plan.stream] = part.version
		p.old = p.old || part.old
		p.readIn(part.life)
	}
	return p, nil
}
