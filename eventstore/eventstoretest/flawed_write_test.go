package eventstoretest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) write(r eventstore.AppendRequest) eventstore.Receipt {
	versions := map[eventstore.StreamID]eventstore.Version{}
	writes := slices.Clone(r.Writes)
	if f.is(writesSorted) {
		slices.SortFunc(writes, func(a, b eventstore.Write) int { return strings.Compare(string(a.Stream), string(b.Stream)) })
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	added := f.number(writes, versions, at)
	if f.is(positionsBeforeCommit) || f.is(lockPerTag) && r.Condition != nil {
		f.pause()
	}
	f.log = append(f.log, added...)
	slices.SortFunc(f.log, func(a, b eventstore.Recorded) int { return int(a.Position - b.Position) })
	if len(added) > 0 || f.is(wakesForNothing) {
		f.wake()
	}
	receipt := eventstore.Receipt{Token: eventstore.Token{Identity: f.identity, Position: f.last}, Versions: versions}
	if n := len(added); n > 0 {
		receipt.Token.Position = added[n-1].Position
	}
	if f.is(remembersLate) {
		f.pause()
	}
	f.remember(r, receipt, at)
	return receipt
}

// number gives the events their places.
func (f *flawed) number(writes []eventstore.Write, versions map[eventstore.StreamID]eventstore.Version, at time.Time) []eventstore.Recorded {
	var added []eventstore.Recorded
	if f.is(localTime) {
		at = at.In(time.FixedZone("here", 3600))
	}
	for _, w := range writes {
		if v := f.version(w.Stream); !f.is(receiptOnlyWritten) || len(w.Events) > 0 {
			versions[w.Stream] = v
		}
		for _, e := range w.Events {
			if f.is(eventIDUnique) && slices.ContainsFunc(f.log, func(o eventstore.Recorded) bool { return o.ID == e.ID }) {
				continue
			}
			if f.last++; f.is(positionsSkip) && f.last%10 == 0 {
				f.last++
			}
			versions[w.Stream]++
			added = append(added, eventstore.Recorded{
				EventData: f.stored(e), Stream: w.Stream, Version: versions[w.Stream], Position: f.last, RecordedAt: at,
			})
		}
	}
	return added
}

// stored is the event as the log keeps it.
func (f *flawed) stored(e eventstore.EventData) eventstore.EventData {
	if f.is(keepsCallersBytes) {
		return e
	}
	e.Data, e.Metadata, e.Tags = bytes.Clone(e.Data), bytes.Clone(e.Metadata), slices.Clone(e.Tags)
	var value any
	switch {
	case f.is(payloadAsJSON) && json.Unmarshal(e.Data, &value) == nil:
		e.Data = mustJSON(value)
	case f.is(payloadAsText):
		e.Data = bytes.ReplaceAll(bytes.ToValidUTF8(e.Data, []byte("?")), []byte{0}, nil)
	case f.is(tagsSorted):
		slices.Sort(e.Tags)
	case f.is(metadataOfTheLast) && len(e.Metadata) == 0 && len(f.log) == 0:
		e.Metadata = []byte("meta")
	case f.is(schemaVersionLost):
		e.SchemaVersion = 1
	}
	return e
}

func (f *flawed) remember(r eventstore.AppendRequest, receipt eventstore.Receipt, at time.Time) {
	if f.is(emptyAppendForgotten) && r.EventCount() == 0 {
		return
	}
	if !r.Command.ID.IsZero() || f.is(zeroIDRemembered) {
		receipt.Versions = maps.Clone(receipt.Versions)
		f.commands[r.Command.ID] = remembered{f.hash(r), receipt, nil, at}
	}
}

func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // it was JSON before
	}
	return text
}
