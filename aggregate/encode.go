package aggregate

import (
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// encode returns the events ready to be appended, each with the metadata.
func encode[E any](set *codec.Set, events []E, metadata []byte) ([]eventstore.EventData, error) {
	encoded := make([]eventstore.EventData, len(events))
	for n, event := range events {
		data, err := set.Encode(event)
		if err != nil {
			return nil, err
		}
		data.Metadata = metadata
		encoded[n] = data
	}
	return encoded, nil
}
