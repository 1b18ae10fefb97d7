package commandtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// RaceForClaim lets so many users register under one e-mail address at once, has the one who got it
// give it back, and lets the others race again. It returns what is wrong: each time one of them must
// get it, and the others must be told who has it.
func RaceForClaim(ctx context.Context, store eventstore.Store, racers int) error {
	repository := aggregate.NewRepository(store, users)
	for _, round := range []string{"first", "again"} {
		winner, err := raceOnce(ctx, store, racers, round)
		if err != nil {
			return fmt.Errorf("%s: %w", round, err)
		}
		if _, err := repository.Execute(ctx, winner, Command{To: winner}.unregister()); err != nil {
			return fmt.Errorf("release: %w", err)
		}
		if holder, held, err := aggregate.Holder(ctx, store, email.Claim("ada")); held || err != nil {
			return fmt.Errorf("after the release %s holds it (%w)", holder, err)
		}
	}
	return nil
}

func raceOnce(ctx context.Context, store eventstore.Store, racers int, round string) (winner string, err error) {
	repository := aggregate.NewRepository(store, users)
	ids, errs := make([]string, racers), make([]error, racers)
	start := make(chan struct{})
	var all sync.WaitGroup
	for n := range racers {
		all.Go(func() {
			<-start
			ids[n] = fmt.Sprint(round, n)
			_, errs[n] = repository.Execute(ctx, ids[n], func(user) ([]userEvent, error) { return []userEvent{registered{ids[n], "ada"}}, nil })
		})
	}
	close(start)
	all.Wait()

	holder, held, err := aggregate.Holder(ctx, store, email.Claim("ada"))
	if err != nil || !held {
		return "", fmt.Errorf("nobody holds it (%w)", err)
	}
	winners := 0
	for n, err := range errs {
		taken, refused := errors.AsType[*aggregate.TakenError](err)
		switch {
		case err == nil:
			winners++
			winner = ids[n]
		case !refused:
			return "", err
		case taken.Holder != holder:
			return "", fmt.Errorf("told that %s holds it, it is %s", taken.Holder, holder)
		}
	}
	if winners != 1 || users.Stream(winner) != holder {
		return "", fmt.Errorf("%d winners, want 1; %s holds it", winners, holder)
	}
	return winner, nil
}
