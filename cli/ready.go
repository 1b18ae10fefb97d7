package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// readiness are the checks whether models are caught up, by their names.
func readiness(models []model, within time.Duration) map[string]httpapi.Check {
	checks := map[string]httpapi.Check{}
	for _, m := range models {
		others := checks[m.Name] // of other sources
		checks[m.Name] = func(ctx context.Context) error {
			if others != nil {
				if err := others(ctx); err != nil {
					return err
				}
			}
			return m.isReady(ctx, within)
		}
	}
	return checks
}

func (m model) isReady(ctx context.Context, within time.Duration) error {
	s, err := projection.StatusOf(ctx, m.log, m.sink, m.Generation)
	if err != nil {
		return err
	}
	switch {
	case len(s.Segments) == 0:
		return fmt.Errorf("%s was not opened yet", m)
	case s.Stage == projection.Building:
		return fmt.Errorf("%s is being built: it is at position %d of %d", m, s.Position, s.Head)
	case s.Behind > within:
		return fmt.Errorf("%s is %s behind, at position %d of %d", m, s.Behind.Round(time.Millisecond), s.Position, s.Head)
	}
	for _, l := range s.Segments {
		if l.Report.Fence == l.Fence && (l.Report.State == subscription.Failed || l.Report.State == subscription.Diverged) {
			return errors.New(l.Report.Note)
		}
	}
	return nil
}

func names(models []model) (all []string) {
	for _, m := range models {
		all = append(all, m.String())
	}
	return all
}
