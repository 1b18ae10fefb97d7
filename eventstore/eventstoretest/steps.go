package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

// event returns an event to append, whose payload is its type.
func event(name string, tags ...eventstore.Tag) eventstore.EventData {
	return eventstore.EventData{ID: eventstore.NewEventID(), Type: name, SchemaVersion: 1, Tags: tags, Data: []byte(name)}
}

// to returns an append of the events to one stream, whatever its version.
func to(stream eventstore.StreamID, events ...eventstore.EventData) eventstore.AppendRequest {
	return expecting(eventstore.Any, stream, events...)
}

func expecting(expected eventstore.ExpectedVersion, stream eventstore.StreamID, events ...eventstore.EventData) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: expected, Events: events}}}
}

// named returns the request under a command of the name and the payload.
func named(request eventstore.AppendRequest, id, payload string) eventstore.AppendRequest {
	request.Command = command(id, payload)
	return request
}

func command(id, payload string) eventstore.Command {
	return eventstore.Command{ID: eventstore.NewCommandID(id), Hash: eventstore.HashCommand(id, []byte(payload))}
}

// unless returns the request under a condition.
func unless(request eventstore.AppendRequest, query eventstore.Query, after eventstore.Position) eventstore.AppendRequest {
	request.Condition = &eventstore.Condition{FailIf: query, After: after}
	return request
}

// append appends what must be accepted.
func (c *check) append(request eventstore.AppendRequest) eventstore.Receipt {
	receipt, err := c.store.Append(c.ctx, request)
	c.must(err, "append")
	return receipt
}

// seed appends events of the types to one stream, one append each.
func (c *check) seed(stream eventstore.StreamID, types ...string) {
	for _, name := range types {
		c.append(to(stream, event(name)))
	}
}

// refused appends what must be refused with the target, leaving the log as it was.
func (c *check) refused(request eventstore.AppendRequest, target error, why string) error {
	before := c.head()
	_, err := c.store.Append(c.ctx, request)
	c.is(err, target, "append (%s)", why)
	equal(c, "head after a refused append ("+why+")", c.head(), before)
	return err
}

// refusedAs is [check.refused] for an error whose fields matter.
func refusedAs[E error](c *check, request eventstore.AppendRequest, why string) E {
	before := c.head()
	_, err := c.store.Append(c.ctx, request)
	typed, ok := errors.AsType[E](err)
	if !ok {
		c.skipExcluded(err)
		c.fatalf("append (%s): got error %v, want a %T", why, err, typed)
	}
	equal(c, "head after a refused append ("+why+")", c.head(), before)
	return typed
}

func (c *check) head() eventstore.Position {
	token, err := c.store.Head(c.ctx)
	c.must(err, "head")
	return token.Position
}

func (c *check) stream(id eventstore.StreamID, in eventstore.StreamRange) []eventstore.Recorded {
	events, err := collect(c.store.ReadStream(c.ctx, id, in))
	c.must(err, "read stream %s", id)
	return events
}

func (c *check) read(query eventstore.LogQuery) *eventstore.LogRead {
	read, err := c.store.ReadLog(c.ctx, query)
	c.must(err, "read log")
	return read
}

func (c *check) log(query eventstore.LogQuery) []eventstore.Recorded {
	events, err := collect(c.read(query).Events())
	c.must(err, "read log")
	return events
}

// collect reads to the end. A read that goes on after an error fails with an error that
// matches nothing.
func collect(events iter.Seq2[eventstore.Recorded, error]) ([]eventstore.Recorded, error) {
	var all []eventstore.Recorded
	var failed error
	for event, err := range events {
		if failed != nil {
			return nil, fmt.Errorf("the read went on after its error: %v", failed)
		}
		if failed = err; err == nil {
			all = append(all, event)
		}
	}
	return all, failed
}

// types returns the events' types in one string, which reads well in a failure.
func types(events []eventstore.Recorded) string {
	names := make([]string, len(events))
	for n, e := range events {
		names[n] = e.Type
	}
	return strings.Join(names, " ")
}

// same fails the clause unless the two reads saw the same events in every field.
func (c *check) same(what string, got, want []eventstore.Recorded) {
	if !slices.EqualFunc(got, want, eventstore.Recorded.Equal) {
		c.fatalf("%s: got %+v, want %+v", what, got, want)
	}
}

// repeats fails the clause unless got is the receipt of want's append, repeated.
func (c *check) repeats(got, want eventstore.Receipt) {
	if !got.Repeated {
		c.fatalf("receipt %+v is not marked Repeated", got)
	}
	if !equalReceipts(got, want) {
		c.fatalf("repeated receipt: got %+v, want the first %+v", got, want)
	}
}

func equalReceipts(a, b eventstore.Receipt) bool {
	if a.Token != b.Token || len(a.Versions) != len(b.Versions) {
		return false
	}
	for stream, version := range a.Versions {
		if other, ok := b.Versions[stream]; !ok || other != version {
			return false
		}
	}
	return true
}

// cancelled returns a context that is over already.
func (c *check) cancelled() context.Context {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	return ctx
}

// together runs n racers that start at the same moment and waits for them all.
func together(n int, racer func(i int)) {
	start := make(chan struct{})
	var racers sync.WaitGroup
	for i := range n {
		racers.Go(func() {
			<-start
			racer(i)
		})
	}
	close(start)
	racers.Wait()
}
