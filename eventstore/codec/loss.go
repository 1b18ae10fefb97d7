package codec

import (
	"errors"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// Loss is something that a stored payload says and the Go value decoded from it does not.
type Loss struct {
	Field string // where in the payload, such as items[2].price; empty: the payload as a whole
	Why   string
}

func (l Loss) String() string {
	if l.Field == "" {
		return l.Why
	}
	return l.Field + ": " + l.Why
}

// LossFinder is an optional power of a [Format]: it compares a payload with what became of it.
type LossFinder interface {
	// Losses returns what data says and value, which Unmarshal has made of it, does not.
	Losses(data []byte, value any) ([]Loss, error)
}

// ErrLossUnknown says that the format of an event has no [LossFinder].
var ErrLossUnknown = errors.New("the format cannot say what is lost")

// Losses returns what the stored event says and its Go type does not take: fields that the type
// does not have, numbers that it cannot hold exactly. The type is that of the event's own schema
// version: what an upcast leaves out it leaves out on purpose, and an event that is dropped loses
// nothing. Errors are those of [Set.Decode], and [ErrLossUnknown].
func (s *Set) Losses(r eventstore.Recorded) ([]Loss, error) {
	d, err := s.definitionOf(r)
	if err != nil || d.shape(r.SchemaVersion) == nil {
		return nil, err
	}
	finder, able := d.format.(LossFinder)
	if !able {
		return nil, ErrLossUnknown
	}
	losses, err := d.losses(finder, r)
	if err != nil {
		return nil, decodeError(r, err)
	}
	return losses, nil
}

func (d *definition) losses(finder LossFinder, r eventstore.Recorded) (losses []Loss, err error) {
	defer recoverTo(&err)
	value, err := d.reader(r.SchemaVersion)(d.format, r.Data)
	if err != nil {
		return nil, err
	}
	return finder.Losses(r.Data, value)
}

// Losses implements [LossFinder].
func (encodingJSON) Losses(data []byte, value any) ([]Loss, error) {
	return JSONLosses(data, value, JSONReading{Marshal: encodingJSON{}.Marshal, Strict: strictly, AnyCase: true})
}

// JSONReading is how a format reads JSON, for [JSONLosses].
type JSONReading struct {
	Marshal func(value any) ([]byte, error)
	Strict  func(data []byte, into any) error // fails on a field that the type does not have
	AnyCase bool                              // OWNER is the field Owner
}

// JSONLosses is [LossFinder].Losses for formats that write JSON. It encodes the value once more and
// compares. A field without a value (null, false, 0, "", [] or {}) need not come back, but the type
// must have it. Numbers are compared as numbers, and texts that are times as times.
func JSONLosses(data []byte, value any, how JSONReading) ([]Loss, error) {
	again, err := how.Marshal(value)
	if err != nil {
		return nil, err
	}
	losses, err := compareJSON(data, again, how.AnyCase)
	if err != nil || len(losses) > 0 {
		return losses, err
	}
	if err := how.Strict(data, reflect.New(reflect.TypeOf(value)).Interface()); err != nil {
		return []Loss{{Why: err.Error()}}, nil //nolint:nilerr // what the strict reading refuses is the finding
	}
	return nil, nil
}
