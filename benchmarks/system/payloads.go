package system

import (
	"encoding/json"
	"sync"

	"github.com/leftfold/leftfold/eventstore/codec/jsonv2"
)

// Payloads is no store: it is what reading a log of decoded events would cost if the store
// cost nothing. It holds payloads in memory and decodes them.
type Payloads struct {
	data      [][]byte
	unmarshal func(data []byte, into any) error
}

// NewPayloads returns so many payloads, decoded by encoding/json or by package jsonv2.
func NewPayloads(events int, v2 bool) Payloads {
	p := Payloads{data: make([][]byte, events), unmarshal: json.Unmarshal}
	if v2 {
		p.unmarshal = jsonv2.Format{}.Unmarshal
	}
	for n := range p.data {
		p.data[n] = NewEvent(firstRef + int64(n)).Data
	}
	return p
}

// Decode decodes all of them, by so many goroutines, and returns how many they are.
func (p Payloads) Decode(decoders int) (int, error) {
	failures := make([]error, decoders)
	var all sync.WaitGroup
	for d := range decoders {
		all.Go(func() {
			for n := d * len(p.data) / decoders; n < (d+1)*len(p.data)/decoders; n++ {
				var order OrderPlaced
				if err := p.unmarshal(p.data[n], &order); err != nil {
					failures[d] = err
				}
			}
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return 0, err
		}
	}
	return len(p.data), nil
}
