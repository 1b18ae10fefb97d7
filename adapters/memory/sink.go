package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/internal/wake"
	"github.com/leftfold/leftfold/projection"
)

// Sink keeps read models in memory: the reference implementation of
// [projection.Sink], and of [projection.TxSink] for handlers that write a [Tx]. What
// it keeps is gone with the process.
type Sink struct {
	mu      sync.RWMutex
	models  map[projection.Generation]*readModel
	tables  map[string]map[string]any // what handlers write
	changed wake.Signal
}

// readModel is one generation: its rows, and how far it has come with each source store.
type readModel struct {
	hash    string
	stage   projection.Stage
	rows    map[string]projection.Row
	sources map[eventstore.StoreID]*following
}

var (
	_ projection.Sink        = (*Sink)(nil)
	_ projection.TxSink[*Tx] = (*Sink)(nil)
)

// NewSink returns an empty sink.
func NewSink() *Sink {
	return &Sink{models: map[projection.Generation]*readModel{}, tables: map[string]map[string]any{}}
}

// Open implements [projection.Checkpoints].
func (s *Sink) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.models[model.Generation]
	if !ok {
		stage, err := s.first(model.Generation)
		if err != nil {
			return err
		}
		m = newReadModel()
		m.hash, m.stage = model.Hash, stage
		s.models[model.Generation] = m
	}
	if m.hash != model.Hash {
		return fmt.Errorf("%w: %s", projection.ErrDefinitionChanged, model.Generation)
	}
	m.follow(model.Generation, source)
	return nil
}

func newReadModel() *readModel {
	return &readModel{rows: map[string]projection.Row{}, sources: map[eventstore.StoreID]*following{}}
}

// follow adds a checkpoint of the source, unless there is one.
func (m *readModel) follow(of projection.Generation, source eventstore.Identity) {
	if _, ok := m.sources[source.Store]; !ok {
		m.sources[source.Store] = &following{
			leases.Begin(subscription.Checkpoint{Source: source, Generation: of.String()}), map[string]projection.Parked{},
		}
	}
}

// Checkpoint implements [projection.Checkpoints].
func (s *Sink) Checkpoint(ctx context.Context, of projection.Generation, source eventstore.StoreID) (subscription.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return subscription.Checkpoint{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, ok := s.models[of]
	if !ok {
		return subscription.Checkpoint{}, nil
	}
	f, ok := m.sources[source]
	if !ok {
		return subscription.Checkpoint{}, fmt.Errorf("%w: %s does not follow store %s", eventstore.ErrForeignToken, of, source)
	}
	return subscription.Lowest(f.Checkpoints()), nil
}

// Changed implements [projection.Checkpoints].
func (s *Sink) Changed() <-chan struct{} { return s.changed.Next() }

// Load implements [projection.Sink].
func (s *Sink) Load(ctx context.Context, model projection.Model, keys []string) ([]projection.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, ok := s.models[model.Generation]
	if !ok {
		return nil, projection.ErrNotBuilt
	}
	return m.load(keys), nil
}

func (m *readModel) load(keys []string) (rows []projection.Row) {
	for _, key := range keys {
		if row, ok := m.rows[key]; ok {
			rows = append(rows, clone(row))
		}
	}
	return rows
}

// Commit implements [projection.Sink].
func (s *Sink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, change := range changes {
		if !change.Deleted && len(change.Values) != len(model.Columns) {
			return fmt.Errorf("row %q has %d values for %d columns", change.Key, len(change.Values), len(model.Columns))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.move(model.Generation, move)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if change.Deleted {
			delete(m.rows, change.Key)
		} else {
			m.rows[change.Key] = clone(change.Row)
		}
	}
	return nil
}

// move moves the checkpoint, if it is where the move starts. The caller holds the lock.
func (s *Sink) move(of projection.Generation, move projection.Move) (*readModel, error) {
	f := s.following(of, move.To.Source.Store)
	if f == nil {
		return nil, subscription.ErrStale
	}
	segment := f.Find(move.From.Segment)
	if segment == nil || segment.Checkpoint != move.From {
		return nil, subscription.ErrStale
	}
	segment.Checkpoint = move.To
	for _, parked := range move.Park {
		f.parked[parked.Key] = parked
	}
	for _, key := range move.Unpark {
		delete(f.parked, key)
	}
	s.changed.Notify()
	return s.models[of], nil
}

// List implements [projection.Sink].
func (s *Sink) List(ctx context.Context, model projection.Model, list projection.ListQuery) ([]projection.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, ok := s.models[model.Generation]
	if !ok {
		return nil, projection.ErrNotBuilt
	}
	return m.list(model, list), nil
}

func (m *readModel) list(model projection.Model, list projection.ListQuery) []projection.Row {
	order := ordering{column: model.Column(list.By), descending: list.Descending}
	rows := slices.SortedFunc(maps.Values(m.rows), order.compare)
	if list.After != nil {
		rows = slices.DeleteFunc(rows, func(r projection.Row) bool { return !order.isAfter(r, *list.After) })
	}
	rows = rows[:min(len(rows), list.Limit)]
	for n := range rows {
		rows[n] = clone(rows[n])
	}
	return rows
}

// ordering is the order of a list: by a column (-1 is none), then by key.
type ordering struct {
	column     int
	descending bool
}

func (o ordering) compare(a, b projection.Row) int {
	order := 0
	if o.column >= 0 {
		order = compareValues(a.Values[o.column], b.Values[o.column])
	}
	if order == 0 {
		order = strings.Compare(a.Key, b.Key)
	}
	if o.descending {
		return -order
	}
	return order
}

func (o ordering) isAfter(row projection.Row, cursor projection.Cursor) bool {
	at := projection.Row{Key: cursor.Key}
	if o.column >= 0 {
		at.Values = make([]any, len(row.Values))
		at.Values[o.column] = cursor.Value
	}
	return o.compare(row, at) > 0
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case bool:
		return compareBools(a, b.(bool))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case string:
		return strings.Compare(a, b.(string))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case time.Time:
		return a.Compare(b.(time.Time))
	default:
		panic(fmt.Sprintf("a %T has no order", a)) // NewView refuses such an index
	}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func clone(row projection.Row) projection.Row {
	row.Values = slices.Clone(row.Values)
	for n, value := range row.Values {
		if b, ok := value.([]byte); ok {
			row.Values[n] = slices.Clone(b)
		}
	}
	return row
}

// Tx is a transaction over the sink's tables, for a [projection.Handler]. It sees its
// own writes; they reach the tables when it commits.
type Tx struct {
	sink   *Sink
	writes map[string]map[string]any // nil value: deleted
}

// Get returns the value under the key, as this transaction sees it.
func (tx *Tx) Get(table, key string) (any, bool) {
	if value, ok := tx.writes[table][key]; ok {
		return value, value != nil
	}
	value, ok := tx.sink.tables[table][key]
	return value, ok
}

// Put writes the value, which must not be nil and must not be changed afterwards.
func (tx *Tx) Put(table, key string, value any) {
	if tx.writes[table] == nil {
		tx.writes[table] = map[string]any{}
	}
	tx.writes[table][key] = value
}

// Delete removes the key.
func (tx *Tx) Delete(table, key string) { tx.Put(table, key, nil) }

// Transact implements [projection.TxSink]. Transactions run one at a time, and nobody
// reads the sink meanwhile: apply must use its tx and nothing else of the sink, or it
// waits for itself.
func (s *Sink) Transact(ctx context.Context, of projection.Generation, move projection.Move, apply func(ctx context.Context, tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &Tx{sink: s, writes: map[string]map[string]any{}}
	if err := apply(ctx, tx); err != nil {
		return err
	}
	if _, err := s.move(of, move); err != nil {
		return err
	}
	tx.commit()
	return nil
}

// commit is for callers that hold the sink's lock.
func (tx *Tx) commit() {
	tables := tx.sink.tables
	for table, writes := range tx.writes {
		if tables[table] == nil {
			tables[table] = map[string]any{}
		}
		for key, value := range writes {
			if value == nil {
				delete(tables[table], key)
			} else {
				tables[table][key] = value
			}
		}
	}
}

// Value returns what handlers have committed under the key.
func (s *Sink) Value(table, key string) (any, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, ok := s.tables[table][key]
	return value, ok
}
