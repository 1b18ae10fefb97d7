package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// Definition ties a Go type to a stored event type. Mistakes in it are reported by
// [NewSet], which can name them all.
type Definition struct {
	*definition
}

// definition is shared by every copy of a Definition, so that the same one met in two
// sets can be recognized: the functions in it cannot be compared.
type definition struct {
	name    string
	goType  reflect.Type // nil: it is not written any more
	version int
	format  Format
	current reader // of a payload in the current version
	steps   []step // in the order of their versions
	tags    func(event any) []eventstore.Tag
	tagType reflect.Type

	errs []error
}

// reader reads a payload into a value of one of the definition's shapes.
type reader func(f Format, data []byte) (any, error)

// Option refines an event's definition.
type Option func(*definition)

// Event defines that values of T are stored as events of the type name, such as
// "order.placed". The name is for ever: the log holds it.
func Event[T any](name string, options ...Option) Definition {
	return define(name, reflect.TypeFor[T](), readAs[T], options)
}

// Retired defines an event type that the log holds and the program does not write any more.
// There is no Go type for it: the step of its last schema version leads to other events, by
// [Upcast] or [UpcastEach], or to none, by [Drop].
//
//	codec.Retired("cart.viewed", codec.Drop(1))
//
// Keep it as long as the log: without it the events are of an unknown type, and the streams that
// hold them cannot be loaded.
func Retired(name string, options ...Option) Definition { return define(name, nil, nil, options) }

func define(name string, goType reflect.Type, current reader, options []Option) Definition {
	d := &definition{name: name, goType: goType, version: 1, format: encodingJSON{}, current: current}
	for _, option := range options {
		option(d)
	}
	d.check()
	return Definition{d}
}

// Version says that n is the schema version written now. Default: 1. Every version
// below n needs an [Upcast], an [UpcastEach] or a [Drop]. For a [Retired] event n is the last
// version that was written, and needs one too.
func Version(n int) Option { return func(d *definition) { d.version = n } }

// Tags computes an event's tags when it is encoded. T must be the event's type.
func Tags[T any](f func(T) []eventstore.Tag) Option {
	return func(d *definition) {
		if f == nil {
			d.failf("Tags has no function")
			return
		}
		d.tagType = reflect.TypeFor[T]()
		d.tags = func(event any) []eventstore.Tag { return f(event.(T)) }
	}
}

// check collects what is wrong with the definition by itself.
func (d *definition) check() {
	if err := eventstore.Types(d.name).Validate(); err != nil {
		d.errs = append(d.errs, err)
	}
	if strings.HasPrefix(d.name, "$") {
		d.failf("names that start with $ are the store's own")
	}
	d.checkShapes()
	if d.version < 1 || d.version > eventstore.MaxSchemaVersion {
		d.failf("schema version %d, want 1 to %d", d.version, eventstore.MaxSchemaVersion)
		return // the steps would only repeat it
	}
	if d.tagType != nil && d.tagType != d.goType {
		d.failf("Tags takes %s, the event is %s", d.tagType, d.described())
	}
	d.checkSteps()
}

func (d *definition) failf(format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf(format, args...))
}

// described returns the Go type, in words.
func (d *definition) described() string {
	if d.goType == nil {
		return "retired"
	}
	return d.goType.String()
}

// err returns everything that is wrong with the definition.
func (d *definition) err() error {
	named := make([]error, len(d.errs))
	for n, err := range d.errs {
		named[n] = d.wrong(err)
	}
	return errors.Join(named...)
}

func (d *definition) wrong(err error) error {
	if d.goType == nil {
		return fmt.Errorf("retired event %q: %w", d.name, err)
	}
	return fmt.Errorf("event %q of type %s: %w", d.name, d.goType, err)
}

// same reports whether two definitions mean the same: they are one definition, or they
// agree and hold no functions, which Go cannot compare.
func (d *definition) same(o *definition) bool {
	if d == o {
		return true
	}
	plain := d.format == o.format && len(d.steps) == 0 && len(o.steps) == 0 && d.tags == nil && o.tags == nil
	return plain && d.name == o.name && d.goType == o.goType && d.version == o.version
}
