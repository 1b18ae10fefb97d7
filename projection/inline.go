package projection

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Inline are projections that a store applies in the transactions of its own appends: when an
// append returns, their rows have it, and what they refuse is not appended. They are given to
// a store when it is opened, and made inline by the store's SwitchInline. From then on every
// program that appends must have the same ones, else its appends are [ErrInlineMismatch]: no
// writer can pass a read model by.
//
// The definitions are those that a [Runner] or a [Worker] takes, and readers read the rows in
// the same way. Folds and handlers hold up every append of the store, so they must be quick. An
// event that one of them fails on refuses its own append with an [InlineError]; nothing is
// parked. A fold may be called again for events that were rolled back.
//
// Tx is what the store's transactions are. The zero value is no projection.
type Inline[Tx any] struct {
	// Events are the event types that the views handle. Required for views.
	Events *codec.Set
	// Views are any number of [View]s, of any row types.
	Views []InlineView
	// Handlers are called after the rows of the views are written, event by event, in the
	// order given. What they do outside the transaction may be of an append that is never made.
	Handlers []*Handler[Tx]
}

// InlineView is a [View] of any row type.
type InlineView interface {
	Generation() Generation
	inlinePart(events *codec.Set) (inlinePart, error)
}

// Errors of inline projections, for errors.Is.
var (
	// ErrInlineMismatch: the store applies other projections inline than the program that
	// appends. Nothing was appended. See [InlineMismatchError].
	ErrInlineMismatch = errors.New("inline projections of store and program differ")
	// ErrInline: a store applies the projection inline. It needs no runner, and follows no other
	// store.
	ErrInline = fmt.Errorf("%w: the store applies the projection inline; it needs no runner", subscription.ErrPermanent)
)

// InlineMismatchError names what differs. It matches [ErrInlineMismatch].
type InlineMismatchError struct {
	// Lacking are those that the store applies inline and the program does not, Surplus those
	// that the program would and the store does not, Changed those that the program defines in
	// another way. Behind are those whose rows lack events of the log.
	Lacking, Surplus, Changed, Behind []string
}

func (e *InlineMismatchError) Error() string {
	var all []string
	for _, part := range []struct {
		names []string
		what  string
	}{
		{e.Lacking, "the store applies %s inline and this program does not: add it to the inline projections of the store's options, or switch the store"},
		{e.Surplus, "this program applies %s inline and the store does not yet: call the store's SwitchInline"},
		{e.Changed, "this program defines %s in another way: raise its version"},
		{e.Behind, "the rows of %s lack events of the log: call the store's SwitchInline, which applies them"},
	} {
		if len(part.names) > 0 {
			all = append(all, fmt.Sprintf(part.what, strings.Join(part.names, ", ")))
		}
	}
	return fmt.Sprintf("%v: %s; nothing was appended", ErrInlineMismatch, strings.Join(all, "; "))
}

// Is reports whether target is [ErrInlineMismatch].
func (e *InlineMismatchError) Is(target error) bool { return target == ErrInlineMismatch }

// InlineError is why an inline projection refuses an append. Nothing of the append is kept.
type InlineError struct {
	Generation Generation
	// Key is the row's that could not be made; empty if that is not known, and for a [Handler].
	Key string
	// Event is the one that failed, as it would have stood in the log; zero if that is not known.
	Event eventstore.Recorded
	Err   error
}

func (e *InlineError) Error() string {
	what := "inline projection " + e.Generation.String()
	if e.Key != "" {
		what += fmt.Sprintf(", key %q", e.Key)
	}
	if e.Event.Type != "" {
		what += fmt.Sprintf(", event %s of %s, version %d", e.Event.Type, e.Event.Stream, e.Event.Version)
	}
	return fmt.Sprintf("%s: %v; nothing was appended", what, e.Err)
}

// Unwrap returns the cause.
func (e *InlineError) Unwrap() error { return e.Err }

// InlineSet is an [Inline] whose Go types have been resolved. It and what follows is for
// stores. A nil set is no projection.
type InlineSet[Tx any] struct {
	number   int64
	events   *codec.Set
	views    []inlinePart
	handlers []inlineHandler[Tx]
}

// inlinePart is a view of any row type, for the keys of a segment.
type inlinePart interface {
	described() described
	begin(events []eventstore.Recorded) (folding, error)
	within(segment subscription.Segment) inlinePart
	task(sink Sink) Task
}

// described is what a projection is, and which events it handles.
type described struct {
	model Model
	query eventstore.Query
}

// folding is a view's fold over some events: it tells the keys of the rows that it needs, then
// makes the changes.
type folding interface {
	keys() []string
	fold(stored []Row) ([]Change, error)
}

// Resolve checks the definitions, and returns nil if there are none. The errors are those of
// a runner that starts.
func (i Inline[Tx]) Resolve() (*InlineSet[Tx], error) {
	if len(i.Views)+len(i.Handlers) == 0 {
		return nil, nil
	}
	s := &InlineSet[Tx]{events: i.Events}
	for n, view := range i.Views {
		if view == nil {
			return nil, fmt.Errorf("inline view %d is nil", n+1)
		}
		part, err := view.inlinePart(i.Events)
		if err != nil {
			return nil, fmt.Errorf("inline projection %s: %w", view.Generation(), err)
		}
		s.views = append(s.views, part)
	}
	for n, handler := range i.Handlers {
		if handler == nil {
			return nil, fmt.Errorf("inline handler %d is nil", n+1)
		}
		s.handlers = append(s.handlers, inlineHandler[Tx]{handler, subscription.Whole})
	}
	names := map[string]bool{}
	for _, model := range s.Models() {
		if names[model.Name] {
			return nil, fmt.Errorf("inline projection %s is given twice", model.Name)
		}
		names[model.Name] = true
	}
	sum := sha256.Sum256([]byte(strings.Join(s.names(), "\n")))
	s.number = max(1, int64(binary.BigEndian.Uint64(sum[:8])>>1))
	return s, nil
}

func (s *InlineSet[Tx]) parts() (all []described) {
	if s == nil {
		return nil
	}
	for _, v := range s.views {
		all = append(all, v.described())
	}
	for _, h := range s.handlers {
		all = append(all, h.described())
	}
	return all
}

// Models returns what the set keeps, views first.
func (s *InlineSet[Tx]) Models() (models []Model) {
	for _, p := range s.parts() {
		models = append(models, p.model)
	}
	return models
}

// Handles reports whether there are handlers.
func (s *InlineSet[Tx]) Handles() bool { return s != nil && len(s.handlers) > 0 }

// InlineName is how a store names a projection that it applies inline.
func InlineName(of Generation, hash string) string { return of.String() + " " + hash }

// Number stands for the set where a name would cost too much: sets that differ have other
// numbers, and 0 is the empty one.
func (s *InlineSet[Tx]) Number() int64 {
	if s == nil {
		return 0
	}
	return s.number
}

func (s *InlineSet[Tx]) names() (names []string) {
	for _, model := range s.Models() {
		names = append(names, InlineName(model.Generation, model.Hash))
	}
	slices.Sort(names)
	return names
}

// Mismatch returns an [InlineMismatchError] about the names of what a store applies inline.
func (s *InlineSet[Tx]) Mismatch(stored []string) error {
	ours, theirs := byGeneration(s.names()), byGeneration(stored)
	e := &InlineMismatchError{}
	for name, hash := range theirs {
		switch our, ok := ours[name]; {
		case !ok:
			e.Lacking = append(e.Lacking, name)
		case our != hash:
			e.Changed = append(e.Changed, name)
		}
	}
	for name := range ours {
		if _, ok := theirs[name]; !ok {
			e.Surplus = append(e.Surplus, name)
		}
	}
	for _, names := range [][]string{e.Lacking, e.Surplus, e.Changed} {
		slices.Sort(names)
	}
	return e
}

func byGeneration(names []string) map[string]string {
	hashes := map[string]string{}
	for _, name := range names {
		generation, hash, _ := strings.Cut(name, " ")
		hashes[generation] = hash
	}
	return hashes
}

// InlineTx is the transaction of appends, or of a switch, as a store gives it to
// [InlineSet.Apply].
type InlineTx[Tx any] interface {
	// Load returns the rows that exist among the keys, a list for each load. No load is empty.
	Load(ctx context.Context, loads []InlineLoad) ([][]Row, error)
	// Write writes the rows of each projection and moves its checkpoint, which must be at the
	// head before the appends. Last says that nothing is written after it.
	Write(ctx context.Context, writes []InlineWrite, last bool) error
	// Handle calls do with the transaction, once for each append that a handler handles, and
	// returns its error, or what is wrong with the transaction after it.
	Handle(ctx context.Context, do func(ctx context.Context, tx Tx) error) error
}

// InlineLoad asks for rows of a view.
type InlineLoad struct {
	Model Model
	Keys  []string
}

// InlineWrite is what changes in a read model; nothing, for a handler.
type InlineWrite struct {
	Model   Model
	Changes []Change
}

// InlineRefusalError says which appends of a group are refused, and why. The transaction must be
// rolled back; the others can be made in a new one.
type InlineRefusalError struct {
	Appends map[int]error
}

func (r *InlineRefusalError) Error() string {
	for _, err := range r.Appends {
		return err.Error()
	}
	return "no append is refused"
}

// Apply applies the events of a group of appends, a list for each, in the transaction. If an
// event cannot be applied, the error is an [InlineRefusalError]. Any other error is the transaction's.
func (s *InlineSet[Tx]) Apply(ctx context.Context, tx InlineTx[Tx], appends [][]eventstore.Recorded) error {
	writes, err := s.fold(ctx, tx, appends)
	if err != nil {
		return err
	}
	handled := s.handled(appends)
	if err := tx.Write(ctx, writes, !handled); err != nil || !handled {
		return err
	}
	return s.handle(ctx, tx, appends)
}

// fold returns what the events change, for each projection.
func (s *InlineSet[Tx]) fold(ctx context.Context, tx InlineTx[Tx], appends [][]eventstore.Recorded) ([]InlineWrite, error) {
	all := slices.Concat(appends...)
	writes := make([]InlineWrite, 0, len(s.views)+len(s.handlers))
	for _, p := range s.parts() {
		writes = append(writes, InlineWrite{Model: p.model})
	}
	foldings := make([]folding, len(s.views))
	at := 0 // the view under way
	failed := apart(func() (err error) {
		for n, v := range s.views {
			at = n
			if foldings[n], err = v.begin(matching(v.described().query, all)); err != nil {
				return err
			}
		}
		return nil
	})
	if failed != nil {
		// An append that is to blame is known by itself. The rows are not needed yet.
		return nil, s.toBlame(appends, nil, inlineError(writes[at].Model.Generation, failed))
	}
	stored, err := load(ctx, tx, s.views, foldings)
	if err != nil {
		return nil, err
	}
	failed = apart(func() (err error) {
		for n := range s.views {
			at = n
			if writes[n].Changes, err = foldings[n].fold(stored[n]); err != nil {
				return err
			}
		}
		return nil
	})
	if failed != nil {
		return nil, s.toBlame(appends, stored, inlineError(writes[at].Model.Generation, failed))
	}
	return writes, nil
}

// load returns the rows of each view that its folding needs.
func load[Tx any](ctx context.Context, tx InlineTx[Tx], views []inlinePart, foldings []folding) ([][]Row, error) {
	stored := make([][]Row, len(views))
	var loads []InlineLoad
	var of []int
	for n, f := range foldings {
		if keys := f.keys(); len(keys) > 0 {
			loads, of = append(loads, InlineLoad{views[n].described().model, keys}), append(of, n)
		}
	}
	if len(loads) == 0 {
		return stored, nil
	}
	rows, err := tx.Load(ctx, loads)
	if err != nil {
		return nil, fmt.Errorf("load rows of inline projections: %w", err)
	}
	for n, view := range of {
		stored[view] = rows[n]
	}
	return stored, nil
}

// toBlame finds the appends that failed, by folding them one after the other. The failure of
// the group may name another one: a value that cannot be stored is noticed when the row has
// been touched for the last time. Each append sees the rows as those before it left them,
// unless they are refused.
func (s *InlineSet[Tx]) toBlame(appends [][]eventstore.Recorded, stored [][]Row, failed error) error {
	rows := make([]map[string]Row, len(s.views))
	for n := range s.views {
		rows[n] = map[string]Row{}
		if stored != nil {
			for _, row := range stored[n] {
				rows[n][row.Key] = row
			}
		}
	}
	refusal := &InlineRefusalError{Appends: map[int]error{}}
	for n, events := range appends {
		if err := s.foldOne(events, rows, stored != nil); err != nil {
			refusal.Appends[n] = err
		}
	}
	if len(refusal.Appends) == 0 { // together they fail, one by one none does: a fold is not pure
		return failed
	}
	return refusal
}

// foldOne folds one append over the rows, and changes them if all goes well.
func (s *InlineSet[Tx]) foldOne(events []eventstore.Recorded, rows []map[string]Row, folds bool) error {
	changes := make([][]Change, len(s.views))
	for n, v := range s.views {
		d := v.described()
		err := apart(func() error {
			f, err := v.begin(matching(d.query, events))
			if err != nil || !folds {
				return err
			}
			var stored []Row
			for _, key := range f.keys() {
				if row, ok := rows[n][key]; ok {
					stored = append(stored, row)
				}
			}
			changes[n], err = f.fold(stored)
			return err
		})
		if err != nil {
			return inlineError(d.model.Generation, err)
		}
	}
	for n := range changes {
		for _, c := range changes[n] {
			if c.Deleted {
				delete(rows[n], c.Key)
			} else {
				rows[n][c.Key] = c.Row
			}
		}
	}
	return nil
}

func inlineError(of Generation, err error) *InlineError {
	e := &InlineError{Generation: of, Err: err}
	if failed, ok := errors.AsType[*keyError](err); ok {
		e.Key, e.Event, e.Err = failed.key, failed.event, failed.err
	}
	if failed, ok := errors.AsType[*EventError](e.Err); ok {
		e.Event, e.Err = failed.Event, failed.Err
	}
	return e
}

func matching(query eventstore.Query, events []eventstore.Recorded) (found []eventstore.Recorded) {
	for _, e := range events {
		if query.Matches(e.EventData) {
			found = append(found, e)
		}
	}
	return found
}

// handled reports whether a handler has anything to do.
func (s *InlineSet[Tx]) handled(appends [][]eventstore.Recorded) bool {
	return slices.ContainsFunc(s.handlers, func(h inlineHandler[Tx]) bool {
		return slices.ContainsFunc(appends, func(events []eventstore.Recorded) bool {
			return len(matching(h.handler.query, events)) > 0
		})
	})
}

// handle calls the handlers for one append after the other.
func (s *InlineSet[Tx]) handle(ctx context.Context, tx InlineTx[Tx], appends [][]eventstore.Recorded) error {
	for n, events := range appends {
		for _, h := range s.handlers {
			target, events := handlerTarget[Tx]{handler: h.handler, segment: h.segment}, matching(h.handler.query, events)
			if len(events) == 0 {
				continue
			}
			err := tx.Handle(ctx, func(ctx context.Context, tx Tx) error {
				return apart(func() error {
					keyed, err := target.keyed(events)
					if err != nil {
						return err
					}
					return target.all(ctx, tx, keyed)
				})
			})
			if err != nil {
				return &InlineRefusalError{Appends: map[int]error{n: inlineError(h.handler.model.Generation, err)}}
			}
		}
	}
	return nil
}

// inlineHandler is a handler for the keys of a segment.
type inlineHandler[Tx any] struct {
	handler *Handler[Tx]
	segment subscription.Segment
}

func (h inlineHandler[Tx]) described() described { return described{h.handler.model, h.handler.query} }

// errExited means that nothing was written.
var errExited = errors.New("it ended its goroutine (runtime.Goexit, or t.FailNow in a test) instead of returning")

// apart runs code of the user's on a goroutine of its own: the one we are on appends for
// everybody, and must not end with it.
func apart(do func() error) error {
	err, done := errExited, make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		err = do()
	}()
	<-done
	return err
}

// inlineView is a view, as [inlinePart].
type inlineView[R any] struct {
	is     described
	target *viewTarget[R]
}

func (v *View[R]) inlinePart(events *codec.Set) (inlinePart, error) {
	model, types, err := v.model(events)
	if err != nil {
		return nil, err
	}
	return inlineView[R]{described{model, eventstore.Types(types...)}, newViewTarget(v, model, nil, events)}, nil
}

func (v inlineView[R]) described() described { return v.is }

func (v inlineView[R]) task(sink Sink) Task { return Into(sink, v.target.view) }

func (v inlineView[R]) within(segment subscription.Segment) inlinePart {
	target := *v.target
	target.segment = segment
	return inlineView[R]{v.is, &target}
}

func (v inlineView[R]) begin(events []eventstore.Recorded) (folding, error) {
	b, err := v.target.batchOf(events)
	return viewFolding[R]{v.target, b}, err
}

// viewFolding is a window of a view, as [folding].
type viewFolding[R any] struct {
	target *viewTarget[R]
	batch  *batch[R]
}

func (f viewFolding[R]) keys() []string { return f.batch.keys() }

func (f viewFolding[R]) fold(stored []Row) ([]Change, error) {
	if err := f.target.set(f.batch, stored); err != nil {
		return nil, err
	}
	if err := f.target.fold(f.batch); err != nil {
		return nil, err
	}
	return f.target.changes(f.batch)
}
