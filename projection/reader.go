package projection

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
)

// Reader reads the rows of a view from a sink, as structs: those of the view's own version,
// whichever is live. Before each read it waits for what [query.Ask] requires; see [query.After].
// A row of a parked key cannot have what is required: see [ParkedError].
//
// While that version is being built beside the live one, a reader waits until it is live, for no
// longer than ctx and [query.Wait] allow; then it fails with a [BuildingError]. So it never shows
// rows that are older than those that the old program's readers have shown until then.
type Reader[R any] struct {
	from Readable
	view *View[R]
}

// NewReader returns a reader of the view's rows in a sink, or in whichever of its replicas is fit:
// see [Replicas].
func NewReader[R any](from Readable, view *View[R]) *Reader[R] {
	return &Reader[R]{from: from, view: view}
}

// Get returns the row with the key, or [ErrNotFound].
func (r *Reader[R]) Get(ctx context.Context, key string) (R, error) {
	rows, err := r.GetMany(ctx, key)
	if err != nil {
		var none R
		return none, err
	}
	row, ok := rows[key]
	if !ok {
		return row, fmt.Errorf("%s: %w: %q", r.view.Name(), ErrNotFound, key)
	}
	return row, nil
}

// GetMany returns the rows that exist among the keys, by key. A read model that no
// runner has opened in this sink is [ErrNotBuilt].
func (r *Reader[R]) GetMany(ctx context.Context, keys ...string) (map[string]R, error) {
	// No row has a key that is not UTF-8 or holds a NUL, and not every sink can be asked for it.
	asked := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return checkText(key) != nil })
	stored, err := r.read(ctx, RowQuery{Keys: asked}, func(parked string) bool { return slices.Contains(keys, parked) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.view.generation, err)
	}
	rows := make(map[string]R, len(stored))
	for _, s := range stored {
		row, err := r.decode(s)
		if err != nil {
			return nil, err
		}
		rows[s.Key] = row
	}
	return rows, nil
}

// Page is a part of a list.
type Page[R any] struct {
	Rows []R
	// Next is where the next part starts, for [ListQuery].After; nil if there was none
	// when this page was read.
	Next *Cursor
}

const defaultPage = 100

// List returns one page of rows in the order asked for. Rows that change their place
// between two pages may be seen twice or not at all.
func (r *Reader[R]) List(ctx context.Context, list ListQuery) (Page[R], error) {
	if list.Limit <= 0 {
		list.Limit = defaultPage
	}
	if err := r.view.checkList(list); err != nil {
		return Page[R]{}, err
	}
	size := min(list.Limit, math.MaxInt-1)
	list.Limit = size + 1 // one more, to know whether there is a next page
	stored, err := r.read(ctx, RowQuery{List: &list}, func(string) bool { return true })
	if err != nil {
		return Page[R]{}, fmt.Errorf("list %s: %w", r.view.generation, err)
	}
	var page Page[R]
	if len(stored) > size {
		stored = stored[:size]
		page.Next = r.cursor(stored[size-1], list.By)
	}
	page.Rows = make([]R, 0, len(stored))
	for _, s := range stored {
		row, err := r.decode(s)
		if err != nil {
			return Page[R]{}, err
		}
		page.Rows = append(page.Rows, row)
	}
	return page, nil
}

// All yields the rows in the order asked for, page by page; list.Limit is the size
// of a page. What [Reader.List] says of rows that move holds here too. An error is
// yielded once, as the last element.
func (r *Reader[R]) All(ctx context.Context, list ListQuery) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		list := list // of this loop: the sequence may be ranged over again
		for {
			page, err := r.List(ctx, list)
			if err != nil {
				var none R
				yield(none, err)
				return
			}
			for _, row := range page.Rows {
				if !yield(row, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			list.After = page.Next
		}
	}
}

func (r *Reader[R]) cursor(last Row, by string) *Cursor {
	cursor := &Cursor{Key: last.Key}
	if by != "" {
		cursor.Value = last.Values[r.model().Column(by)]
	}
	return cursor
}

func (r *Reader[R]) decode(stored Row) (R, error) {
	var row R
	err := r.view.mapping.decode(stored, reflect.ValueOf(&row).Elem())
	return row, err
}

// model is enough of the model to read: a reader has no use for the hash.
func (r *Reader[R]) model() Model {
	return Model{Generation: r.view.generation, Columns: r.view.mapping.columns, Indexes: r.view.indexes}
}

func (v *View[R]) checkList(list ListQuery) error {
	if list.By != "" && !slices.Contains(v.indexes, list.By) {
		return fmt.Errorf("list %s: %q is not among its indexes; declare it in ViewOptions.Indexes", v.generation, list.By)
	}
	if list.After == nil {
		return nil
	}
	// A cursor may have been to a browser and back.
	if list.By == "" && list.After.Value != nil {
		return fmt.Errorf("list %s: the cursor has a value, but the order is by key", v.generation)
	}
	if list.By != "" && !v.mapping.column(list.By).Kind.holds(list.After.Value) {
		return fmt.Errorf("list %s: the cursor's value is a %T, not one of %q", v.generation, list.After.Value, list.By)
	}
	// No row has such text, and a server that refuses it would be taken for one that is out of order.
	value, _ := list.After.Value.(string)
	if err := cmp.Or(checkText(list.After.Key), checkText(value)); err != nil {
		return fmt.Errorf("list %s: the cursor is of no row: %w", v.generation, err)
	}
	return nil
}

func (r *Reader[R]) read(ctx context.Context, rows RowQuery, among func(parked string) bool) ([]Row, error) {
	look, err := AwaitLook(ctx, r.from, r.model(), rows, among)
	return look.Rows, err
}
