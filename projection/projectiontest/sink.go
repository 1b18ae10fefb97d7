package projectiontest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// RunSink checks the sinks that open returns against every clause of
// [projection.Sink]. Each call of open must return an empty sink and close it by
// t.Cleanup.
func RunSink(t *testing.T, open func(t testing.TB) projection.Sink) {
	run(t, sinkClauses, open)
}

// everyKind is a model with a column of every kind, required and nullable.
var everyKind = func() projection.Model {
	m := projection.Model{
		Generation: projection.Generation{Name: "every_kind", Version: 1},
		Hash:       "every_kind",
		Indexes:    []string{"a_int", "a_text", "a_float", "a_time", "a_bool", "a_bytes"},
	}
	for _, nullable := range []bool{false, true} {
		for _, kind := range []projection.Kind{projection.Bool, projection.Int, projection.Float, projection.Text, projection.Bytes, projection.Time, projection.JSON} {
			name := "a_" + string(kind)
			if nullable {
				name = "maybe_" + string(kind)
			}
			m.Columns = append(m.Columns, projection.Column{Name: name, Kind: kind, Nullable: nullable})
		}
	}
	return m
}()

// plainRow is a row of everyKind whose nullable columns are nil.
func plainRow(key string, number int64, text string) projection.Row {
	at := time.UnixMicro(number).UTC()
	return projection.Row{Key: key, Values: []any{
		number%2 == 0, number, float64(number) / 4, text, []byte(text), at, "{}",
		nil, nil, nil, nil, nil, nil, nil,
	}}
}

var source = eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}

// stand is a sink with a model opened in it, and where its checkpoint stands.
type stand struct {
	projection.Sink
	model projection.Model
	at    subscription.Checkpoint
}

func opened(ctx context.Context, sink projection.Sink) (*stand, error) {
	if err := sink.Open(ctx, everyKind, source); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	at, err := sink.Checkpoint(ctx, everyKind.Generation, source.Store)
	return &stand{sink, everyKind, at}, err
}

// onward returns the checkpoint that lies some positions further.
func onward(at subscription.Checkpoint, positions eventstore.Position) subscription.Checkpoint {
	at.Anchor.Position += positions
	at.Anchor.EventID = eventstore.NewEventID()
	return at
}

// commit writes rows and moves on.
func (s *stand) commit(ctx context.Context, changes ...projection.Change) error {
	to := onward(s.at, 1)
	if err := s.Commit(ctx, s.model, projection.Move{From: s.at, To: to}, changes); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.at = to
	return nil
}

func put(rows ...projection.Row) []projection.Change {
	changes := make([]projection.Change, len(rows))
	for n, row := range rows {
		changes[n] = projection.Change{Row: row}
	}
	return changes
}

func (s *stand) has(ctx context.Context, want ...projection.Row) error {
	got, err := s.List(ctx, s.model, projection.ListQuery{Limit: len(want) + 10})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(got) == 0 && len(want) == 0 {
		return nil
	}
	return same("rows", got, want)
}

// stays checks that the stored checkpoint is where the stand believes it is.
func (s *stand) stays(ctx context.Context) error { return s.stands(ctx, s.at) }

func (s *stand) stands(ctx context.Context, want subscription.Checkpoint) error {
	got, err := s.Checkpoint(ctx, s.model.Generation, source.Store)
	return first(err, same("checkpoint", got, want))
}

// sinkClause makes a clause over a sink with everyKind opened in it.
func sinkClause(rule string, check func(ctx context.Context, s *stand) error) clause[projection.Sink] {
	return clause[projection.Sink]{rule, func(ctx context.Context, sink projection.Sink) error {
		s, err := opened(ctx, sink)
		if err != nil {
			return err
		}
		return check(ctx, s)
	}}
}

var sinkClauses = slices.Concat(checkpointClauses, commitClauses, listClauses, leaseClauses, parkedClauses, generationClauses, lookClauses)
