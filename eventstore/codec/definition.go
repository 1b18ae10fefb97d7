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
	goType  reflect.Type
	version int
	format  Format
	steps   []step
	tags    func(event any) []eventstore.Tag
	tagType reflect.Type

	// decoders[v-1] reads a payload of schema version v. They are composed once, so
	// that an old event costs its upcasts and no search.
	decoders []decoder

	errs []error
}

// decoder reads a payload into a value of the definition's type.
type decoder func(f Format, data []byte) (any, error)

// Option refines an event's definition.
type Option func(*definition)

// Event defines that values of T are stored as events of the type name, such as
// "order.placed". The name is for ever: the log holds it.
func Event[T any](name string, options ...Option) Definition {
	d := &definition{name: name, goType: reflect.TypeFor[T](), version: 1, format: encodingJSON{}}
	for _, option := range options {
		option(d)
	}
	d.check()
	if len(d.errs) == 0 {
		d.decoders = compose(decodeAs[T], d.steps)
	}
	return Definition{d}
}

// Version says that n is the schema version written now. Default: 1. Every version
// below n needs an [Upcast].
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
	if kind := d.goType.Kind(); kind == reflect.Interface || kind == reflect.Pointer {
		d.failf("%s is not a value type; events are passed and stored as values", d.goType)
	} else {
		d.checkShape()
	}
	if d.version < 1 || d.version > eventstore.MaxSchemaVersion {
		d.failf("schema version %d, want 1 to %d", d.version, eventstore.MaxSchemaVersion)
		return // the steps would only repeat it
	}
	if d.tagType != nil && d.tagType != d.goType {
		d.failf("Tags takes %s, the event is %s", d.tagType, d.goType)
	}
	d.checkSteps()
}

func (d *definition) failf(format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf(format, args...))
}

// err returns everything that is wrong with the definition.
func (d *definition) err() error {
	named := make([]error, len(d.errs))
	for n, err := range d.errs {
		named[n] = fmt.Errorf("event %q of type %s: %w", d.name, d.goType, err)
	}
	return errors.Join(named...)
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
