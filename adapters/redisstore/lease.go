package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// Leases implements [projection.Checkpoints]. The clock is the server's.
func (s *Sink) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return leases.New(shares{s, of, source})
}

// shares is how far a generation has come with one source, and who works on it: fields of meta,
// each with the source's id in its name.
//
//	at:<source>:<first slice>     the segment's end and its checkpoint
//	lease:<source>:<first slice>  who holds it, as JSON
//	worker:<source>:<worker>      until when it is there
//	parked:<source>:<key>         why, as JSON
//
// Commits change the first only, and those who attend the second and the third: they do not
// get into each other's way.
type shares struct {
	sink   *Sink
	of     projection.Generation
	source eventstore.StoreID
}

func (h shares) field(kind, name string) string {
	return kind + ":" + h.source.String() + ":" + name
}

func (h shares) fieldOf(kind string, segment subscription.Segment) string {
	return h.field(kind, strconv.Itoa(int(segment.First)))
}

// leaseText is what a lease field holds.
type leaseText struct {
	Holder subscription.WorkerID `json:"holder,omitempty"`
	Until  int64                 `json:"until,omitempty"` // microseconds since 1970
	Report subscription.Report   `json:"report"`
}

func (h shares) Load(ctx context.Context) (*leases.State, time.Time, error) {
	state, _, now, err := h.load(ctx)
	if errors.Is(err, projection.ErrNotBuilt) {
		return nil, now, nil
	}
	return state, now, err
}

// Update changes the state if nobody else has changed the same fields meanwhile, else it begins
// again. That is enough: whoever takes a segment away from its holder changes its lease and its
// checkpoint, and every change of a segment is one of the two.
func (h shares) Update(ctx context.Context, change func(*leases.State, time.Time) error) error {
	for {
		before, fields, now, err := h.load(ctx)
		if errors.Is(err, projection.ErrNotBuilt) || err == nil && before == nil {
			return subscription.ErrNoSegment
		}
		if err != nil {
			return err
		}
		after := before.Clone()
		if err := change(after, now); err != nil {
			return err
		}
		changes, err := h.texts(leases.Changed(before, after))
		if err != nil {
			return err
		}
		var args []any
		for name, text := range changes {
			if text != fields[name] { // a checkpoint that stays is not in the way of a commit
				args = append(args, name, fields[name], text)
			}
		}
		err = updateScript.Run(ctx, h.sink.client, h.sink.keysOf(h.of).all(), args...).Err()
		if err = h.sink.explained(ctx, h.of, err); !errors.Is(err, subscription.ErrStale) {
			return err
		}
	}
}

// load returns the state, nil if the generation does not follow the source, with the fields that
// it was read from, and the time.
func (h shares) load(ctx context.Context) (*leases.State, map[string]string, time.Time, error) {
	fields, now, err := h.sink.fields(ctx, h.of)
	if err != nil {
		return nil, nil, now, err
	}
	state, err := h.read(fields)
	return state, fields, now, err
}

// fields returns the meta of a generation, and the time.
func (s *Sink) fields(ctx context.Context, of projection.Generation) (map[string]string, time.Time, error) {
	found, err := stateScript.Run(ctx, s.client, s.keysOf(of).all()).StringSlice()
	if err != nil {
		return nil, time.Time{}, s.explained(ctx, of, err)
	}
	seconds, err1 := strconv.ParseInt(found[0], 10, 64)
	micros, err2 := strconv.ParseInt(found[1], 10, 64)
	return pairs(found[2:]), time.Unix(seconds, micros*1000), errors.Join(err1, err2)
}

// pairs are what a hash has in it, of name, value, name, value, …
func pairs(list []string) map[string]string {
	all := make(map[string]string, len(list)/2)
	for n := 0; n+1 < len(list); n += 2 {
		all[list[n]] = list[n+1]
	}
	return all
}

func (h shares) read(fields map[string]string) (*leases.State, error) {
	state := &leases.State{Workers: map[subscription.WorkerID]time.Time{}}
	for name, text := range fields {
		if worker, ok := strings.CutPrefix(name, h.field("worker", "")); ok {
			until, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: the field %q is not readable: %w", h.of, name, err)
			}
			state.Workers[subscription.WorkerID(worker)] = time.UnixMicro(until)
		}
		first, ok := strings.CutPrefix(name, h.field("at", ""))
		if !ok {
			continue
		}
		at, err := h.parseCheckpoint(first, text)
		if err != nil {
			return nil, err
		}
		l := leases.Segment{Checkpoint: at}
		if text := fields[h.fieldOf("lease", at.Segment)]; text != "" {
			var lease leaseText
			if err := json.Unmarshal([]byte(text), &lease); err != nil {
				return nil, fmt.Errorf("%s: the lease of segment %s is not readable: %w", h.of, at.Segment, err)
			}
			l.Holder, l.Report = lease.Holder, lease.Report
			if lease.Until != 0 {
				l.Until = time.UnixMicro(lease.Until)
			}
		}
		state.Segments = append(state.Segments, l)
	}
	if len(state.Segments) == 0 {
		return nil, nil
	}
	slices.SortFunc(state.Segments, func(a, b leases.Segment) int { return cmp.Compare(a.Segment.First, b.Segment.First) })
	return state, nil
}

// texts returns the fields that the changes are about; empty: the field goes.
func (h shares) texts(c leases.Changes) (map[string]string, error) {
	changed := map[string]string{}
	for _, first := range c.Drop {
		gone := subscription.Segment{First: first}
		changed[h.fieldOf("at", gone)], changed[h.fieldOf("lease", gone)] = "", ""
	}
	for _, l := range c.Put {
		lease := leaseText{Holder: l.Holder, Report: l.Report}
		if !l.Until.IsZero() {
			lease.Until = l.Until.UnixMicro()
		}
		text, err := json.Marshal(lease)
		if err != nil {
			return nil, err
		}
		changed[h.fieldOf("at", l.Segment)], changed[h.fieldOf("lease", l.Segment)] = checkpointText(l.Checkpoint), string(text)
	}
	for worker, until := range c.Workers {
		changed[h.field("worker", string(worker))] = strconv.FormatInt(until.UnixMicro(), 10)
	}
	for _, worker := range c.Gone {
		changed[h.field("worker", string(worker))] = ""
	}
	return changed, nil
}

// parkedText is what a parked field holds.
type parkedText struct {
	Event eventstore.Anchor `json:"event"`
	Type  string            `json:"type"`
	Cause string            `json:"cause"`
	At    time.Time         `json:"at"`
}

// Parked implements [projection.Checkpoints].
func (s *Sink) Parked(ctx context.Context, of projection.Generation, source eventstore.StoreID) (all []projection.Parked, err error) {
	h := shares{s, of, source}
	_, fields, _, err := h.load(ctx)
	if errors.Is(err, projection.ErrNotBuilt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return h.parked(fields)
}

// parked returns what is parked, of the fields of meta.
func (h shares) parked(fields map[string]string) (all []projection.Parked, err error) {
	for name, text := range fields {
		key, ok := strings.CutPrefix(name, h.field("parked", ""))
		if !ok {
			continue
		}
		var p parkedText
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, fmt.Errorf("%s: what is parked under %q is not readable: %w", h.of, key, err)
		}
		all = append(all, projection.Parked{Key: key, Event: p.Event, Type: p.Type, Cause: p.Cause, At: p.At})
	}
	slices.SortFunc(all, func(a, b projection.Parked) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

// parks are the fields to set, with their values, and those to remove.
func (h shares) parks(m projection.Move) (set, gone []any, err error) {
	for _, p := range m.Park {
		text, err := json.Marshal(parkedText{p.Event, p.Type, p.Cause, p.At})
		if err != nil {
			return nil, nil, err
		}
		set = append(set, h.field("parked", p.Key), string(text))
	}
	for _, key := range m.Unpark {
		gone = append(gone, h.field("parked", key))
	}
	return set, gone, nil
}
