package codec

import "github.com/leftfold/leftfold/eventstore"

// Decode returns the event as values of the current Go types, upcast if it was stored
// in an older shape. Today that is always one value; callers loop over the slice, so
// that an upcast may become one-to-many or drop an event without changing them.
//
// Errors are [UnknownTypeError], [SchemaVersionError] and [DecodeError]. Each says where
// the event is stored.
func (s *Set) Decode(r eventstore.Recorded) ([]any, error) {
	d, found := s.byName[r.Type]
	if !found {
		return nil, &UnknownTypeError{Type: r.Type, Stream: r.Stream, Position: r.Position}
	}
	if r.SchemaVersion < 1 || r.SchemaVersion > d.version {
		return nil, &SchemaVersionError{
			Type: r.Type, SchemaVersion: r.SchemaVersion, Known: d.version,
			Stream: r.Stream, Position: r.Position,
		}
	}
	event, err := d.decode(r)
	if err != nil {
		return nil, &DecodeError{
			Type: r.Type, SchemaVersion: r.SchemaVersion,
			Stream: r.Stream, Version: r.Version, Position: r.Position, Err: err,
		}
	}
	return []any{event}, nil
}

func (d *definition) decode(r eventstore.Recorded) (event any, err error) {
	defer recoverTo(&err)
	return d.decoders[r.SchemaVersion-1](d.format, r.Data)
}
