package projectiontest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// viewOf is what an SQL view would be, for a sink that has none: it shows the live generation.
func viewOf(sink projection.Sink) SQLView {
	return func(ctx context.Context, key string) (int64, error) {
		builds, err := sink.Builds(ctx, "tallies")
		if err != nil {
			return 0, err
		}
		live, _ := projection.LiveBuild(builds)
		rows, err := sink.Load(ctx, projection.Model{Generation: live.Generation}, []string{key})
		if err != nil || len(rows) == 0 {
			return 0, err
		}
		if live.Version == 2 {
			return rows[0].Values[1].(int64), nil
		}
		return rows[0].Values[0].(int64), nil
	}
}

func TestReadersSeeNoErrorAndNoOlderRowsWhileAGenerationIsReplaced(t *testing.T) {
	sink := memory.NewSink()
	RunSwitch(t, Parts{memory.NewStore(), sink}, viewOf(sink))
}

// premature takes generations for caught up that have just begun, and promotes them.
type premature struct{ staged }

func (m premature) Builds(ctx context.Context, name string) ([]projection.Build, error) {
	builds, err := m.staged.Builds(ctx, name)
	for _, b := range builds {
		for n := range b.Checkpoints {
			if b.Stage == projection.Building {
				b.Checkpoints[n].Anchor.Position = eventstore.Position(1 << 40)
			}
		}
	}
	return builds, err
}

func TestMutantThatPromotesTooEarlyShowsOlderRows(t *testing.T) {
	sink := premature{eager(newStaged(mutant{slow{memory.NewSink()}}))}
	_, err := CheckSwitch(t.Context(), Parts{memory.NewStore(), sink}, viewOf(sink))
	if err == nil || !strings.Contains(err.Error(), "a step backwards") && !strings.Contains(err.Error(), "no such row") {
		t.Fatalf("the mutant survived: %v", err)
	}
	t.Log("caught: ", err)
}

// slow takes its time for what is being built, so that readers see it on its way.
type slow struct{ projection.Sink }

func (s slow) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if model.Version > 1 && move.From.Position() < 2000 {
		time.Sleep(50 * time.Millisecond)
	}
	return s.Sink.Commit(ctx, model, move, changes)
}
