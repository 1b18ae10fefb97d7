package ebfake

import (
	"math"
	"net/http"
	"time"
)

type archive struct {
	arn     string
	bus     string
	pattern pattern
	events  []Event
}

func (f *Fake) createArchive(_ *http.Request, in struct{ ArchiveName, EventSourceArn, EventPattern string }) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.archives[in.ArchiveName] != nil {
		return nil, &fault{"ResourceAlreadyExistsException", "archive " + in.ArchiveName}
	}
	p := pattern{}
	if in.EventPattern != "" {
		var err error
		if p, err = parsePattern(in.EventPattern); err != nil {
			return nil, &fault{"InvalidEventPatternException", err.Error()}
		}
	}
	a := &archive{arn: arns + "archive/" + in.ArchiveName, bus: in.EventSourceArn, pattern: p}
	f.archives[in.ArchiveName] = a
	return map[string]any{"ArchiveArn": a.arn, "State": "ENABLED"}, nil
}

// ArchiveARN returns the ARN of an archive, BusARN that of a bus, RuleARN that of a rule.
func ArchiveARN(name string) string { return arns + "archive/" + name }

// BusARN returns the ARN of a bus.
func BusARN(name string) string { return arns + "event-bus/" + name }

// RuleARN returns the ARN of a rule of a bus.
func RuleARN(bus, name string) string { return arns + "rule/" + bus + "/" + name }

// replaySteps is in how many parts a replay comes: one each time that somebody asks how far it is.
const replaySteps = 4

type replay struct {
	name, archive, bus string
	from, to           time.Time
	only               []string
	left               []Event
	part               int
	state              string
}

type startReplay struct {
	ReplayName, EventSourceArn   string
	EventStartTime, EventEndTime float64
	Destination                  struct {
		Arn        string
		FilterArns []string
	}
}

// BreakReplay has the next replay fail halfway.
func (f *Fake) BreakReplay(name string) { f.Break("replay "+name, Refused) }

func (f *Fake) startReplay(_ *http.Request, in startReplay) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays[in.ReplayName] != nil {
		return nil, &fault{"ResourceAlreadyExistsException", "replay " + in.ReplayName}
	}
	var of *archive
	for _, a := range f.archives {
		if a.arn == in.EventSourceArn && a.bus == in.Destination.Arn {
			of = a
		}
	}
	if of == nil {
		return nil, &fault{"ResourceNotFoundException", "no archive " + in.EventSourceArn + " of that bus"}
	}
	r := &replay{
		name: in.ReplayName, archive: in.EventSourceArn, bus: in.Destination.Arn, only: in.Destination.FilterArns, state: "STARTING",
		from: fromSeconds(in.EventStartTime), to: fromSeconds(in.EventEndTime),
	}
	for _, e := range of.events {
		if !e.Time.Before(r.from) && e.Time.Before(r.to) {
			r.left = append(r.left, e)
		}
	}
	f.random.Shuffle(len(r.left), func(i, j int) { r.left[i], r.left[j] = r.left[j], r.left[i] })
	r.part = (len(r.left) + replaySteps - 1) / replaySteps
	f.replays[in.ReplayName] = r
	return map[string]any{"ReplayArn": arns + "replay/" + r.name, "State": r.state}, nil
}

func (f *Fake) describeReplay(_ *http.Request, in struct{ ReplayName string }) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.replays[in.ReplayName]
	if r == nil {
		return nil, &fault{"ResourceNotFoundException", "there is no replay " + in.ReplayName}
	}
	f.step(r)
	out := map[string]any{
		"ReplayName": r.name, "EventSourceArn": r.archive, "State": r.state, "StateReason": "as the test wants it",
		"EventStartTime": inSeconds(r.from), "EventEndTime": inSeconds(r.to),
		"Destination": map[string]any{"Arn": r.bus, "FilterArns": r.only},
	}
	if r.state == "RUNNING" && len(r.left) > 0 {
		out["EventLastReplayedTime"] = inSeconds(r.left[0].Time)
	}
	return out, nil
}

// step delivers the next part of a replay.
func (f *Fake) step(r *replay) {
	switch {
	case r.state == "STARTING":
		r.state = "RUNNING"
	case r.state != "RUNNING":
	case f.faults["replay "+r.name] == Refused:
		r.state = "FAILED"
	case len(r.left) == 0:
		r.state = "COMPLETED"
	default:
		part := min(r.part, len(r.left))
		for _, e := range r.left[:part] {
			e.Replay = r.name
			f.route(e, r.only)
		}
		r.left = r.left[part:]
		f.deliver(0)
	}
}

func fromSeconds(s float64) time.Time {
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9)).UTC()
}

func inSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
