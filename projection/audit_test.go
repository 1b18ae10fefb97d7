package projection_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// tamper writes rows at the checkpoint, as no projection does.
func tamper(t testing.TB, store eventstore.LogReader, sink projection.Sink, view *projection.View[account], changes ...projection.Change) {
	t.Helper()
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	at, err := sink.Checkpoint(t.Context(), view.Generation(), head.Store)
	require.NoError(t, err)
	model := projection.Model{Generation: view.Generation(), Columns: make([]projection.Column, 3)}
	require.NoError(t, sink.Commit(t.Context(), model, projection.Move{From: at, To: at}, changes))
}

func row(key, name string, cents int64, log string) projection.Change {
	return projection.Change{Row: projection.Row{Key: key, Values: []any{name, cents, log}}}
}

func TestAnAuditFindsEveryKindOfDriftAndRepairsIt(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	for n := range 40 {
		appendTo(t, store, fmt.Sprint(n%4), paid{Cents: 1}, renamed{Name: "n"})
	}
	require.NoError(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()))
	report, err := projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "3"}, report.Keys)
	require.Empty(t, report.Differences)

	tamper(t, store, sink, accounts, row("1", "n", 11, "null"), row("ghost", "n", 1, "null"), projection.Change{Row: projection.Row{Key: "3"}, Deleted: true})
	for range 2 {
		report, err = projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{})
		require.NoError(t, err)
		var found []string
		for _, d := range report.Differences {
			found = append(found, d.String())
		}
		require.Equal(t, []string{`row "1": cents is 11, not 10`, `row "3" is missing`, `row "ghost" should not be there`}, found)
	}
	report, err = projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{Repair: true})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "3", "ghost"}, report.Repaired)
	report, err = projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{Keys: []string{"0", "1", "2", "3", "ghost"}})
	require.NoError(t, err)
	require.Empty(t, report.Differences)
}

// A row that moves while it is looked at is no drift, and a repair meanwhile loses nothing.
func TestAnAuditBesideWorkersGivesNoFalseAlarmAndItsRepairsLoseNothing(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "0", paid{Cents: 1})
	require.NoError(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()))
	w := worker(t, store, projection.Into(sink, accounts))
	w.Segments, w.Window = 2, 3
	working(t, w)
	repaired := 0
	data, err := events(t).Encode(paid{Cents: 1})
	require.NoError(t, err)
	for range 30 {
		appended := make(chan error, 1)
		go func() {
			var err error
			for n := 0; n < 100 && err == nil; n++ {
				write := eventstore.Write{Stream: eventstore.NewStreamID("test", fmt.Sprint(n%5)), Events: []eventstore.EventData{data}}
				_, err = store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
			}
			appended <- err
		}()
		report, err := projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{Sample: 20})
		require.NoError(t, err)
		require.Empty(t, report.Differences)
		// What is repaired need not be wrong: the row is written at the checkpoint, beside the worker.
		report, err = projection.Audit(t.Context(), store, events(t), forged{sink}, accounts, projection.AuditOptions{Keys: []string{"1", "2"}, Repair: true})
		require.NoError(t, err)
		require.Len(t, report.Differences, 2)
		repaired += len(report.Repaired)
		require.NoError(t, <-appended)
	}
	require.Positive(t, repaired)
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
	report, err := projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{Keys: []string{"0", "1", "2", "3", "4"}})
	require.NoError(t, err)
	require.Empty(t, report.Differences)
}

// forged is a sink whose rows look wrong.
type forged struct{ projection.Sink }

func (s forged) Load(context.Context, projection.Model, []string) ([]projection.Row, error) {
	return []projection.Row{row("1", "forged", 0, "null").Row, row("2", "forged", 0, "null").Row}, nil
}

// A mutant that repairs without telling the worker: what the worker has loaded is then written
// over it.
func TestARepairThatDoesNotRaiseTheParksIsLost(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "1", paid{Cents: 5})
	require.NoError(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()))
	for name, repaired := range map[string]projection.Sink{"right": sink, "mutant": quiet{sink}} {
		tamper(t, store, sink, accounts, row("1", "", 100, "null"))
		appendTo(t, store, "1", paid{Cents: 1})
		// The worker has loaded the wrong row when the repair comes.
		slow := &meanwhile{Sink: sink, do: func() {
			report, err := projection.Audit(t.Context(), store, events(t), repaired, accounts, projection.AuditOptions{Keys: []string{"1"}, Repair: true})
			require.NoError(t, err)
			require.Equal(t, []string{"1"}, report.Repaired)
		}}
		require.NoError(t, runner(t, store, projection.Into[account](slow, accounts)).CatchUp(t.Context()))
		report, err := projection.Audit(t.Context(), store, events(t), sink, accounts, projection.AuditOptions{Repair: true})
		require.NoError(t, err)
		if name == "right" {
			require.Empty(t, report.Differences)
		} else {
			require.Len(t, report.Differences, 1, "the mutant survived")
		}
	}
}

// quiet commits rows at one checkpoint without a trace in it.
type quiet struct{ projection.Sink }

func (s quiet) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	move.To.Parks = move.From.Parks
	return s.Sink.Commit(ctx, model, move, changes)
}

// meanwhile does something once, before a commit.
type meanwhile struct {
	projection.Sink
	do func()
}

func (s *meanwhile) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if s.do != nil {
		do := s.do
		s.do = nil
		do()
	}
	return s.Sink.Commit(ctx, model, move, changes)
}

func TestAnAuditLeavesParkedKeysOut(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "good", paid{Cents: 1})
	bad := eventstore.Write{Stream: "test-bad", Events: []eventstore.EventData{{Type: "paid", Data: []byte("{")}}}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{bad}})
	require.NoError(t, err)
	view := projection.NewView("fragile", projection.ViewOptions{Version: 1}, projection.When(pay))
	working(t, worker(t, store, projection.Into(sink, view)))
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	report, err := projection.Audit(t.Context(), store, events(t), sink, view, projection.AuditOptions{Keys: []string{"good", "bad"}})
	require.NoError(t, err)
	require.Equal(t, []string{"good"}, report.Keys)
	require.Equal(t, []string{"bad"}, report.Parked)
	require.NoError(t, projection.Skip(t.Context(), store, events(t), projection.Into(sink, view), "bad"))
	report, err = projection.Audit(t.Context(), store, events(t), sink, view, projection.AuditOptions{Keys: []string{"bad"}})
	require.NoError(t, err)
	require.Len(t, report.Differences, 1)
	require.ErrorContains(t, report.Differences[0].Err, "paid")
	require.ErrorIs(t, report.Differences[0].Err, subscription.ErrPermanent)
}

func TestAnAuditOfWhatIsNotThereSaysSo(t *testing.T) {
	_, err := projection.Audit(t.Context(), memory.NewStore(), events(t), memory.NewSink(), accounts, projection.AuditOptions{})
	require.ErrorIs(t, err, projection.ErrNotBuilt)
}
